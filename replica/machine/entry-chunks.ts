import { assert } from "#replica/base/assert.ts";
import { entrySeqAt } from "#replica/wire/entry.ts";

/** Bytes of one address unit; entries start at multiples of it. */
export const unitBytes = 8;
/** Before an encoded entry: distance to the previous one, distance of the jump, its length. */
export const nodeBytes = 12;

/** Some consecutive chunks of entries, as they go to a thread that reads them in place. */
export interface ChunksShared {
  /** Number of the first. */
  readonly first: number;
  /** Bytes of each, a power of two. */
  readonly chunkBytes: number;
  readonly buffers: readonly SharedArrayBuffer[];
}

/** One piece of the memory of entries, which another thread may read. */
export class Chunk {
  readonly buffer: SharedArrayBuffer;
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly view: DataView;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.view = new DataView(buffer);
  }
}

/**
 * Entries of all rooms in large chunks, in commit order, to read. Entries of one room form a chain
 * backwards: each knows its predecessor and one ancestor farther back (a skew-binary jump, Myers
 * 1983), so that any entry of a room is found in O(log n) steps with 8 bytes an entry.
 *
 * An address counts 8-byte units since the process started and is never used again; addresses
 * below {@link floor} have left memory. What stands at an address never changes.
 */
export class EntryChunks {
  protected chunks: (Chunk | undefined)[];
  /** Number of the chunk that stands first in `chunks`. */
  protected chunkFirst: number;
  protected readonly chunkBytes: number;
  protected readonly chunkUnits: number;

  constructor({ first, chunkBytes, buffers }: ChunksShared) {
    assert((chunkBytes & (chunkBytes - 1)) === 0, "MCH-09: chunks of a power of two");
    this.chunkBytes = chunkBytes;
    this.chunkUnits = chunkBytes / unitBytes;
    this.chunkFirst = first;
    this.chunks = buffers.map((buffer) => new Chunk(buffer));
  }

  /** Lowest address in memory. */
  get floor(): number {
    return this.chunkFirst * this.chunkUnits;
  }

  /** The chunk that holds an address. */
  chunkOf(address: number): Chunk {
    const chunk = this.chunks[Math.floor(address / this.chunkUnits) - this.chunkFirst];
    assert(chunk !== undefined, "MCH-09: address in memory");
    return chunk;
  }

  /** The chunk's bytes that hold an address. */
  bytesOf(address: number): Uint8Array {
    return this.chunkOf(address).bytes;
  }

  /** The chunk's view that holds an address. */
  viewOf(address: number): DataView {
    return this.chunkOf(address).view;
  }

  /** Offset of the encoded entry in its chunk; a multiple of 4. */
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

  protected jumpOf(address: number): number {
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
}
