import { assert } from "#replica/base/assert.ts";

/**
 * Buffers of one size for disk writes: zeroed once, then reused, so that a write costs no
 * allocation and no first touch of memory. A buffer is out from `take` until `give`.
 */
export class BufferPool {
  readonly bufferBytes: number;
  private readonly free: Uint8Array[] = [];
  private readonly out = new Set<Uint8Array>();
  private readonly countMax: number;

  /** `countMax`: buffers that may be out at once. */
  constructor(bufferBytes: number, countMax: number) {
    this.bufferBytes = bufferBytes;
    this.countMax = countMax;
  }

  /** A buffer with old content; the taker fills what it writes. */
  take(): Uint8Array {
    assert(this.out.size < this.countMax, "STO-01: buffers at most");
    const buffer = this.free.pop() ?? new Uint8Array(this.bufferBytes);
    this.out.add(buffer);
    return buffer;
  }

  /** Ends the use of a buffer, after the disk has let go of it. */
  give(buffer: Uint8Array): void {
    assert(this.out.delete(buffer), "STO-01: a buffer is given back once, by who took it");
    this.free[this.free.length] = buffer;
  }
}
