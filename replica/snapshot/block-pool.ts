import { assert } from "#replica/base/assert.ts";

/**
 * Buffers of one size for blocks under construction. A checkpoint fills hundreds; taken fresh each
 * time they would be pages that the machine has to find and the collector has to look for.
 */
export class BlockPool {
  /** Bytes of each buffer. */
  readonly blockBytes: number;
  private readonly freeMax: number;
  private readonly free = new Set<ArrayBufferLike>();

  /** `freeMax`: buffers kept for later at most; further ones are left to the collector. */
  constructor(blockBytes: number, freeMax: number) {
    this.blockBytes = blockBytes;
    this.freeMax = freeMax;
  }

  /** A buffer with old content; whoever takes it uses only what it writes. */
  take(): Uint8Array {
    for (const buffer of this.free) {
      this.free.delete(buffer);
      return new Uint8Array(buffer);
    }
    return new Uint8Array(this.blockBytes);
  }

  /** Takes back the buffer of a block that nobody reads any more; buffers of others are let go. */
  give(block: Uint8Array): void {
    const { buffer } = block;
    if (buffer.byteLength !== this.blockBytes || this.free.size >= this.freeMax) return;
    assert(!this.free.has(buffer), "SNP-10: a buffer is given back once");
    this.free.add(buffer);
  }
}
