import { assert } from "#replica/base/assert.ts";

const chunkBytes = 64 * 1024;

/** Short byte strings in large chunks, never removed; an address is a number below 2^32. */
export class NameStore {
  private readonly chunks: Uint8Array[] = [];
  private used = chunkBytes;

  /** Bytes of memory held. */
  get memoryBytes(): number {
    return this.chunks.length * chunkBytes;
  }

  /** Reserves `length` bytes, at most 64 KiB, and returns their address. */
  reserve(length: number): number {
    assert(length <= 65_536 && this.chunks.length < 65_536, "MCH-12: names");
    if (this.used + length > chunkBytes) {
      this.chunks.push(new Uint8Array(chunkBytes));
      this.used = 0;
    }
    const address = (this.chunks.length - 1) * chunkBytes + this.used;
    this.used += length;
    return address;
  }

  /** The chunk that holds an address; the string starts at {@link offsetOf}. */
  bytesOf(address: number): Uint8Array {
    const chunk = this.chunks[Math.floor(address / chunkBytes)];
    assert(chunk !== undefined, "MCH-12: name address");
    return chunk;
  }

  /** Offset of an address in its chunk. */
  offsetOf(address: number): number {
    return address % chunkBytes;
  }
}
