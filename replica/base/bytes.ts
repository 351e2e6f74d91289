import { assert } from "./assert.ts";

/** The hexadecimal methods of ECMAScript 2026, which the library of types does not know yet. */
interface HexBytes {
  toHex(): string;
  setFromHex(hex: string): { readonly read: number; readonly written: number };
}

function hexBytes(bytes: Uint8Array): HexBytes {
  return bytes as unknown as HexBytes;
}

/** Lower-case hex of bytes. */
export function hexFrom(bytes: Uint8Array): string {
  return hexBytes(bytes).toHex();
}

/** Bytes of lower- or upper-case hex. Asserts an even count of hex digits. */
export function bytesFromHex(hex: string): Uint8Array {
  assert(hex.length % 2 === 0, "BAS-04: hex");
  const bytes = new Uint8Array(hex.length / 2);
  setHex(bytes, hex);
  return bytes;
}

/** Fills `bytes` from hex of exactly that many. Asserts hex digits of that count. */
export function setHex(bytes: Uint8Array, hex: string): void {
  assert(hex.length === 2 * bytes.length, "BAS-04: length of hex");
  let written = 0;
  try {
    ({ written } = hexBytes(bytes).setFromHex(hex));
  } catch {
    assert(false, "BAS-04: digit of hex");
  }
  assert(written === bytes.length, "BAS-04: digit of hex");
}

/** True when both have the same length and content. Not constant in time: no secrets. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** Order of two byte strings by unsigned bytes, then by length: below, at or above 0. */
export function bytesCompare(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** One byte string of several. */
export function bytesConcat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Writes an unsigned 64-bit little-endian integer that is a safe integer. */
export function writeU64(view: DataView, offset: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, "BAS-04: u64");
  view.setUint32(offset, value % 2 ** 32, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

/** Reads an unsigned 64-bit little-endian integer; NaN when it is no safe integer. */
export function readU64(view: DataView, offset: number): number {
  const high = view.getUint32(offset + 4, true);
  if (high >= 2 ** 21) return Number.NaN;
  return high * 2 ** 32 + view.getUint32(offset, true);
}
