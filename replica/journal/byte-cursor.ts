import { assert } from "#replica/base/assert.ts";
import { bytesFromHex, hexFrom, readU64, writeU64 } from "#replica/base/bytes.ts";

/** Writes fields one after another into a buffer; asserts its end. */
export class ByteWriter {
  readonly bytes: Uint8Array;
  at: number;
  private readonly view: DataView;

  /** Begins at `at`. */
  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  private take(count: number): number {
    const at = this.at;
    this.at += count;
    assert(this.at <= this.bytes.length, "JRN-07: the content fits its place");
    return at;
  }

  /** Unsigned 8 bits. */
  u8(value: number): void {
    this.view.setUint8(this.take(1), value);
  }

  /** Unsigned 32 bits. */
  u32(value: number): void {
    this.view.setUint32(this.take(4), value, true);
  }

  /** A safe integer from 0 in 8 bytes. */
  u64(value: number): void {
    writeU64(this.view, this.take(8), value);
  }

  /** Hex digits as bytes; the count is fixed by the caller. */
  hex(text: string, count: number): void {
    const bytes = bytesFromHex(text);
    assert(bytes.length === count, "JRN-07: hex of that size");
    this.bytes.set(bytes, this.take(count));
  }

  /** Bytes, zero-padded to `count`. */
  padded(bytes: Uint8Array, count: number): void {
    assert(bytes.length <= count, "JRN-07: the text fits its field");
    const at = this.take(count);
    this.bytes.fill(0, at, at + count);
    this.bytes.set(bytes, at);
  }

  /** Skips `count` bytes and returns where they begin: another writer fills them. */
  skip(count: number): number {
    return this.take(count);
  }
}

/** Reads fields one after another; reads past the end give zeros and set `failed`. */
export class ByteReader {
  readonly bytes: Uint8Array;
  at: number;
  /** True once a field was out of bounds or out of range: what was read is worthless. */
  failed = false;
  private readonly view: DataView;

  /** Begins at `at`. */
  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  private take(count: number): number | null {
    if (this.failed || this.at + count > this.bytes.length) {
      this.failed = true;
      return null;
    }
    const at = this.at;
    this.at += count;
    return at;
  }

  /** Unsigned 8 bits. */
  u8(): number {
    const at = this.take(1);
    return at === null ? 0 : this.view.getUint8(at);
  }

  /** Unsigned 32 bits. */
  u32(): number {
    const at = this.take(4);
    return at === null ? 0 : this.view.getUint32(at, true);
  }

  /** A safe integer from 0 in 8 bytes. */
  u64(): number {
    const at = this.take(8);
    const value = at === null ? 0 : readU64(this.view, at);
    if (Number.isSafeInteger(value)) return value;
    this.failed = true;
    return 0;
  }

  /** Lower-case hex of `count` bytes. */
  hex(count: number): string {
    const at = this.take(count);
    return at === null ? "00".repeat(count) : hexFrom(this.bytes.subarray(at, at + count));
  }

  /** `count` bytes, not copied. */
  raw(count: number): Uint8Array {
    const at = this.take(count);
    return at === null ? new Uint8Array(count) : this.bytes.subarray(at, at + count);
  }
}
