import { assert } from "#replica/base/assert.ts";

const pairs: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, "0"),
);
const digits = new Int8Array(128).fill(-1);
for (let digit = 0; digit < 16; digit += 1) digits["0123456789abcdef".charCodeAt(digit)] = digit;

/** Lower-case hex of `count` bytes at `offset`; one table look-up a byte, for the hot path. */
export function readHex(bytes: Uint8Array, offset: number, count: number): string {
  let text = "";
  for (let at = offset; at < offset + count; at += 1) text += pairs[bytes[at] ?? 0] ?? "";
  return text;
}

/** Writes the bytes of lower-case hex at `offset`. Asserts that it has `count` bytes. */
export function writeHex(target: Uint8Array, offset: number, hex: string, count: number): void {
  assert(hex.length === 2 * count, "WIR-02: length of hex");
  for (let i = 0; i < count; i += 1) {
    const high = digits[hex.charCodeAt(2 * i)] ?? -1;
    const low = digits[hex.charCodeAt(2 * i + 1)] ?? -1;
    assert(high >= 0 && low >= 0, "WIR-02: digit of hex");
    target[offset + i] = high * 16 + low;
  }
}
