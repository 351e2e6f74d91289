import { assert } from "#replica/base/assert.ts";
import { entryBytesMax } from "#replica/wire/entry.ts";
import { Chunk, type ChunksShared, EntryChunks, nodeBytes, unitBytes } from "./entry-chunks.ts";

/** Bytes of one chunk of memory unless told otherwise. */
export const chunkBytesDefault = 1024 * 1024;
/** Chunks kept for reuse at most. */
const spareMax = 8;

/** Recent entries of all rooms, and those that are still to come: see {@link EntryChunks}. */
export class EntryStore extends EntryChunks {
  private readonly spare: Chunk[] = [];
  /** Offset of the next entry in the last chunk; full at the start. */
  private used: number;

  /** `chunkBytes`: a power of two that holds the largest entry. */
  constructor(chunkBytes = chunkBytesDefault) {
    super({ first: 0, chunkBytes, buffers: [] });
    assert(nodeBytes + entryBytesMax <= chunkBytes, "MCH-09: an entry fits a chunk");
    this.used = chunkBytes;
  }

  /** Address behind the newest entry. */
  get end(): number {
    return (this.chunkFirst + this.chunks.length - 1) * this.chunkUnits + this.used / unitBytes;
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
      this.chunks.push(this.spare.pop() ?? new Chunk(new SharedArrayBuffer(this.chunkBytes)));
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

  /**
   * The chunks from the one with `address` on, for another thread: it may read what stands there
   * now until {@link release} was allowed to let the addresses go.
   */
  share(address: number): ChunksShared {
    const first = Math.max(this.chunkFirst, Math.floor(address / this.chunkUnits));
    const buffers: SharedArrayBuffer[] = [];
    for (const chunk of this.chunks.slice(first - this.chunkFirst)) {
      if (chunk !== undefined) buffers.push(chunk.buffer);
    }
    return { first, chunkBytes: this.chunkBytes, buffers };
  }

  /** Lets whole chunks below `address` go while more than `keepBytes` are held. */
  release(address: number, keepBytes: number): void {
    while (this.chunks.length > 1 && (this.chunkFirst + 1) * this.chunkUnits <= address) {
      if (this.chunks.length * this.chunkBytes <= keepBytes) return;
      const chunk = this.chunks.shift();
      this.chunkFirst += 1;
      if (chunk !== undefined && this.spare.length < spareMax) this.spare.push(chunk);
    }
  }

  /** Forgets everything; addresses go on. */
  clear(): void {
    this.chunkFirst += this.chunks.length;
    this.chunks = [];
    this.used = this.chunkBytes;
  }
}

/** Distance in units; 0 stands for none, also when it does not fit. */
function distance(from: number, to: number): number {
  const units = from - to;
  return units < 2 ** 32 ? units : 0;
}
