import { assert } from "#replica/base/assert.ts";

/**
 * The bytes of the whole frame whose header stands at `offset`, or a word why it is none.
 * Called only when the header's bytes are all there.
 */
export type FrameSizeOf = (bytes: Uint8Array, offset: number) => number | string;

/**
 * Cuts a byte stream into frames. A frame that lies whole in a chunk is handed on as a view of it;
 * one that spans chunks is put together in one buffer of exactly its size: at most one copy, and
 * at most one frame held. After a refusal the stream is lost and the splitter takes nothing more.
 */
export class FrameSplitter {
  private readonly headBytes: number;
  private readonly sizeOf: FrameSizeOf;
  private readonly head: Uint8Array;
  private headUsed = 0;
  private partial: Uint8Array | null = null;
  private partialUsed = 0;
  private refusal: string | null = null;

  /** `headBytes`: what `sizeOf` must see. */
  constructor(headBytes: number, sizeOf: FrameSizeOf) {
    assert(headBytes >= 1, "WIR-09: a header has bytes");
    this.headBytes = headBytes;
    this.sizeOf = sizeOf;
    this.head = new Uint8Array(headBytes);
  }

  /** Bytes held back of a frame that has not ended. */
  get heldBytes(): number {
    return this.headUsed + this.partialUsed;
  }

  /**
   * Takes the next bytes of the stream and calls `onFrame` for every frame that ends in them.
   * Null, or why the stream cannot be followed any further.
   */
  push(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): string | null {
    let offset = 0;
    while (offset < chunk.length && this.refusal === null) {
      if (this.partial !== null) offset = this.fill(this.partial, chunk, offset, onFrame);
      else if (this.headUsed > 0) offset = this.fillHead(chunk, offset, onFrame);
      else offset = this.start(chunk, offset, onFrame);
    }
    return this.refusal;
  }

  private start(chunk: Uint8Array, offset: number, onFrame: (frame: Uint8Array) => void): number {
    const left = chunk.length - offset;
    if (left < this.headBytes) {
      this.head.set(chunk.subarray(offset), 0);
      this.headUsed = left;
      return chunk.length;
    }
    const size = this.checkedSize(chunk, offset);
    if (size === 0) return offset;
    if (left >= size) {
      onFrame(chunk.subarray(offset, offset + size));
      return offset + size;
    }
    this.partial = new Uint8Array(size);
    this.partialUsed = 0;
    return offset;
  }

  private fillHead(
    chunk: Uint8Array,
    offset: number,
    onFrame: (frame: Uint8Array) => void,
  ): number {
    const end = Math.min(chunk.length, offset + this.headBytes - this.headUsed);
    this.head.set(chunk.subarray(offset, end), this.headUsed);
    this.headUsed += end - offset;
    if (this.headUsed < this.headBytes) return end;
    const size = this.checkedSize(this.head, 0);
    if (size === 0) return end;
    const frame = new Uint8Array(size);
    frame.set(this.head, 0);
    this.headUsed = 0;
    if (size === this.headBytes) {
      onFrame(frame);
      return end;
    }
    this.partial = frame;
    this.partialUsed = this.headBytes;
    return end;
  }

  private fill(
    frame: Uint8Array,
    chunk: Uint8Array,
    offset: number,
    onFrame: (frame: Uint8Array) => void,
  ): number {
    const end = Math.min(chunk.length, offset + frame.length - this.partialUsed);
    frame.set(chunk.subarray(offset, end), this.partialUsed);
    this.partialUsed += end - offset;
    if (this.partialUsed < frame.length) return end;
    this.partial = null;
    this.partialUsed = 0;
    onFrame(frame);
    return end;
  }

  private checkedSize(bytes: Uint8Array, offset: number): number {
    const size = this.sizeOf(bytes, offset);
    if (typeof size === "string") {
      this.refusal = size;
      return 0;
    }
    assert(size >= this.headBytes, "WIR-09: a frame holds its header");
    return size;
  }
}
