import { assert } from "#replica/base/assert.ts";
import { entryBytesMax, entrySeqAt } from "#replica/wire/entry.ts";

/** Bytes of one chunk of memory unless told otherwise. */
export const chunkBytesDefault = 1024 * 1024;
/** Bytes of one address unit; entries start at multiples of it. */
const unitBytes = 8;
/** Before an encoded entry: distance to the previous one, distance of the jump, its length. */
const nodeBytes = 12;

/**
 * Recent entries of all rooms in large chunks, in commit order. Entries of one room form a chain
 * backwards: each knows its predecessor and one ancestor farther back (a skew-binary jump, Myers
 * 1983), so that any entry of a room is found in O(log n) steps with 8 bytes an entry.
 *
 * An address counts 8-byte units since the process started and is never used again; addresses
 * below {@link floor} have left memory.
 */
export class EntryStore {
  private chunks: (Chunk | undefined)[] = [];
  /** Number of the chunk that stands first in `chunks`. */
  private chunkFirst = 0;
  private readonly spare: Chunk[] = [];
  private readonly chunkBytes: number;
  private readonly chunkUnits: number;
  /** Offset of the next entry in the last chunk; full at the start. */
  private used: number;

  /** `chunkBytes`: a power of two that holds the largest entry. */
  constructor(chunkBytes = chunkBytesDefault) {
    assert((chunkBytes & (chunkBytes - 1)) === 0, "MCH-09: chunks of a power of two");
    assert(nodeBytes + entryBytesMax <= chunkBytes, "MCH-09: an entry fits a chunk");
    this.chunkBytes = chunkBytes;
    this.chunkUnits = chunkBytes / unitBytes;
    this.used = chunkBytes;
  }

  /** Address behind the newest entry. */
  get end(): number {
    return (this.chunkFirst + this.chunks.length - 1) * this.chunkUnits + this.used / unitBytes;
  }

  /** Lowest address in memory. */
  get floor(): number {
    return this.chunkFirst * this.chunkUnits;
  }

  /** Bytes of memory held. */
  get memoryBytes(): number {
    return (this.chunks.length + this.spare.length) * this.chunkBytes;
  }

  /**
   * Makes room for an entry of `length` bytes whose predecessor in its room is at `previous` (-1 =
   * none in memory) and returns its address; the caller writes the entry at {@link offsetOf}.
   */
  append(previous: number, length: number): number {
    if (this.used + nodeBytes + length > this.chunkBytes) {
      this.chunks.push(this.spare.pop() ?? new Chunk(this.chunkBytes));
      this.used = 0;
    }
    const address = this.end;
    const { view } = this.chunkOf(address);
    const offset = this.used;
    const jump = this.jumpFrom(previous);
    view.setUint32(offset, previous < 0 ? 0 : distance(address, previous), true);
    view.setUint32(offset + 4, jump < 0 ? 0 : distance(address, jump), true);
    view.setUint32(offset + 8, length, true);
    this.used = (offset + nodeBytes + length + unitBytes - 1) & -unitBytes;
    return address;
  }

  /** Where the successor of `previous` jumps to. */
  private jumpFrom(previous: number): number {
    if (previous < this.floor) return -1;
    const jump = this.jumpOf(previous);
    if (jump < this.floor) return previous;
    const farther = this.jumpOf(jump);
    if (farther < this.floor) return previous;
    const near = this.seqAt(previous) - this.seqAt(jump);
    return near === this.seqAt(jump) - this.seqAt(farther) ? farther : previous;
  }

  /** The chunk's bytes that hold an address. */
  bytesOf(address: number): Uint8Array {
    return this.chunkOf(address).bytes;
  }

  /** The chunk's view that holds an address. */
  viewOf(address: number): DataView {
    return this.chunkOf(address).view;
  }

  /** Offset of the encoded entry in its chunk. */
  offsetOf(address: number): number {
    return (address % this.chunkUnits) * unitBytes + nodeBytes;
  }

  /** Bytes of the encoded entry. */
  lengthOf(address: number): number {
    return this.chunkOf(address).view.getUint32((address % this.chunkUnits) * unitBytes + 8, true);
  }

  /** Seq of the entry. */
  seqAt(address: number): number {
    return entrySeqAt(this.chunkOf(address).view, this.offsetOf(address));
  }

  /** Address of the predecessor in the same room, or -1; it may have left memory. */
  previousOf(address: number): number {
    const back = this.chunkOf(address).view.getUint32(
      (address % this.chunkUnits) * unitBytes,
      true,
    );
    return back === 0 ? -1 : address - back;
  }

  private jumpOf(address: number): number {
    const back = this.chunkOf(address).view.getUint32(
      (address % this.chunkUnits) * unitBytes + 4,
      true,
    );
    return back === 0 ? -1 : address - back;
  }

  /** Address of entry `seq` of the room whose newest entry is at `newest`; -1: not in memory. */
  find(newest: number, seq: number): number {
    const { floor } = this;
    let at = newest;
    while (at >= floor) {
      const here = this.seqAt(at);
      if (here <= seq) return here === seq ? at : -1;
      const jump = this.jumpOf(at);
      at = jump >= floor && this.seqAt(jump) >= seq ? jump : this.previousOf(at);
    }
    return -1;
  }

  /** Newest entry of a chain whose address is below `end`; -1: none in memory. */
  newestBelow(newest: number, end: number): number {
    const { floor } = this;
    let at = newest;
    while (at >= floor && at >= end) {
      const jump = this.jumpOf(at);
      at = jump >= floor && jump >= end ? jump : this.previousOf(at);
    }
    return at >= floor ? at : -1;
  }

  /** Oldest entry of a chain whose address is at least `start`; the chain's newest is. */
  oldestFrom(newest: number, start: number): number {
    const { floor } = this;
    const least = start > floor ? start : floor;
    assert(newest >= least, "MCH-09: chain starts below");
    let at = newest;
    for (;;) {
      const jump = this.jumpOf(at);
      const previous = this.previousOf(at);
      if (jump >= least) at = jump;
      else if (previous >= least) at = previous;
      else return at;
    }
  }

  /** Lets whole chunks below `address` go while more than `keepBytes` are held. */
  release(address: number, keepBytes: number): void {
    while (this.chunks.length > 1 && (this.chunkFirst + 1) * this.chunkUnits <= address) {
      if (this.chunks.length * this.chunkBytes <= keepBytes) return;
      const chunk = this.chunks.shift();
      this.chunkFirst += 1;
      if (chunk !== undefined && this.spare.length < 8) this.spare.push(chunk);
    }
  }

  /** Forgets everything; addresses go on. */
  clear(): void {
    this.chunkFirst += this.chunks.length;
    this.chunks = [];
    this.used = this.chunkBytes;
  }

  private chunkOf(address: number): Chunk {
    const chunk = this.chunks[Math.floor(address / this.chunkUnits) - this.chunkFirst];
    assert(chunk !== undefined, "MCH-09: address in memory");
    return chunk;
  }
}

class Chunk {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes);
    this.view = new DataView(this.bytes.buffer);
  }
}

/** Distance in units; 0 stands for none, also when it does not fit. */
function distance(from: number, to: number): number {
  const units = from - to;
  return units < 2 ** 32 ? units : 0;
}
