import { writeU64 } from "#replica/base/bytes.ts";

/*
 * A remembered key in a checkpoint, 24 bytes: the key's own time in milliseconds u48, seq u48, room
 * u32, the two halves of its hash u32 each. The time stands first, where snapshot's merges read it.
 */

/** Bytes of one row. */
export const keyRowBytes = 24;

/** Writes a row. */
export function writeKeyRow(
  view: DataView,
  offset: number,
  keyMs: number,
  room: number,
  seq: number,
  hash: Int32Array,
): void {
  writeU64(view, offset, keyMs);
  view.setUint16(offset + 6, seq % 2 ** 16, true);
  view.setUint32(offset + 8, Math.floor(seq / 2 ** 16), true);
  view.setUint32(offset + 12, room, true);
  view.setInt32(offset + 16, hash[0] ?? 0, true);
  view.setInt32(offset + 20, hash[1] ?? 0, true);
}

/** Own time of a row's key, milliseconds. */
export function keyRowMs(view: DataView, offset: number): number {
  return view.getUint16(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
}

/** Seq of a row. */
export function keyRowSeq(view: DataView, offset: number): number {
  return view.getUint32(offset + 8, true) * 2 ** 16 + view.getUint16(offset + 6, true);
}

/** Own time of a UUIDv7, milliseconds since the Unix epoch: its first 48 bits, big-endian. */
export function keyTimeMs(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  const middle = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
  const low = ((bytes[at + 4] ?? 0) << 8) | (bytes[at + 5] ?? 0);
  return high * 2 ** 32 + middle * 2 ** 16 + low;
}
