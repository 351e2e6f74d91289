import { assert } from "#replica/base/assert.ts";
import { checksumOf, checksumZero, opFrom } from "#replica/base/brands.ts";
import type { Checksum, Op } from "#replica/base/brands.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import { textFromUtf8, utf8From } from "#replica/base/text.ts";
import { readHex, writeHex } from "./hex.ts";

/** Writes fields one after another into given bytes, little-endian; room is the caller's duty. */
export class Writer {
  readonly bytes: Uint8Array;
  at: number;
  private readonly view: DataView;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
  }

  u8(value: number): void {
    assert(value >= 0 && value <= 255, "WIR-07: u8");
    this.view.setUint8(this.at, value);
    this.at += 1;
  }

  u16(value: number): void {
    assert(value >= 0 && value <= 0xffff, "WIR-07: u16");
    this.view.setUint16(this.at, value, true);
    this.at += 2;
  }

  u32(value: number): void {
    assert(value >= 0 && value <= 0xffff_ffff, "WIR-07: u32");
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }

  u64(value: number): void {
    writeU64(this.view, this.at, value);
    this.at += 8;
  }

  f64(value: number): void {
    assert(Number.isFinite(value), "WIR-07: f64");
    this.view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  /** `count` bytes given as lower-case hex. */
  hex(value: string, count: number): void {
    writeHex(this.bytes, this.at, value, count);
    this.at += count;
  }

  raw(value: Uint8Array): void {
    this.bytes.set(value, this.at);
    this.at += value.length;
  }

  /** A length in one byte, then UTF-8. */
  text(value: string): void {
    const bytes = utf8From(value);
    this.u8(bytes.length);
    this.raw(bytes);
  }
}

/**
 * Reads fields one after another from hostile bytes. Never throws: after the first field that is
 * missing or out of range `bad` is true and every further value is a harmless zero.
 */
export class Reader {
  readonly bytes: Uint8Array;
  at: number;
  /** True when something was missing or malformed: throw away all that was read. */
  bad = false;
  private readonly view: DataView;
  private readonly end: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
    this.end = Math.min(end, bytes.length);
  }

  /** Bytes not yet read. */
  get left(): number {
    return this.bad ? 0 : this.end - this.at;
  }

  u8(): number {
    const at = this.take(1);
    return at < 0 ? 0 : this.view.getUint8(at);
  }

  u16(): number {
    const at = this.take(2);
    return at < 0 ? 0 : this.view.getUint16(at, true);
  }

  u32(): number {
    const at = this.take(4);
    return at < 0 ? 0 : this.view.getUint32(at, true);
  }

  u64(): number {
    const at = this.take(8);
    const value = at < 0 ? 0 : readU64(this.view, at);
    if (!Number.isNaN(value)) return value;
    this.bad = true;
    return 0;
  }

  f64(): number {
    const at = this.take(8);
    const value = at < 0 ? 0 : this.view.getFloat64(at, true);
    if (Number.isFinite(value)) return value;
    this.bad = true;
    return 0;
  }

  op(): Op {
    return opFrom(this.u64());
  }

  checksum(): Checksum {
    const at = this.take(32);
    return at < 0 ? checksumZero : checksumOf(this.bytes.subarray(at, at + 32));
  }

  /** Lower-case hex of the next `count` bytes. */
  hex(count: number): string {
    const at = this.take(count);
    return at < 0 ? "0".repeat(2 * count) : readHex(this.bytes, at, count);
  }

  /** A view of the next `count` bytes. */
  raw(count: number): Uint8Array {
    const at = this.take(count);
    return at < 0 ? this.bytes.subarray(0, 0) : this.bytes.subarray(at, at + count);
  }

  /** A text behind its length in one byte; bad when longer than `bytesMax` or no UTF-8. */
  text(bytesMax: number): string {
    const length = this.u8();
    const text = length > bytesMax ? null : textFromUtf8(this.raw(length));
    if (text !== null) return text;
    this.bad = true;
    return "";
  }

  /** True when nothing was bad and only zeros are left. */
  finishedWithZeros(): boolean {
    for (let at = this.at; at < this.end; at += 1) if (this.bytes[at] !== 0) return false;
    return !this.bad;
  }

  private take(count: number): number {
    if (this.bad || this.end - this.at < count) {
      this.bad = true;
      return -1;
    }
    this.at += count;
    return this.at - count;
  }
}
