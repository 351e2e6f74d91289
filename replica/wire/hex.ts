import { assert } from "#replica/base/assert.ts";
import { hexFrom, setHex } from "#replica/base/bytes.ts";

/** Lower-case hex of `count` bytes at `offset`. */
export function readHex(bytes: Uint8Array, offset: number, count: number): string {
  return hexFrom(bytes.subarray(offset, offset + count));
}

/** Writes the bytes of hex at `offset`. Asserts that it has `count` bytes. */
export function writeHex(target: Uint8Array, offset: number, hex: string, count: number): void {
  assert(hex.length === 2 * count, "WIR-02: length of hex");
  setHex(target.subarray(offset, offset + count), hex);
}
