import { random } from "#replica/crypto/hash.ts";

/** A fresh UUIDv7 of that time, milliseconds since 1970: RFC 9562 section 5.7. */
export function uuidKey(wallMs: number): Uint8Array {
  const key = Uint8Array.from(random(16));
  const view = new DataView(key.buffer);
  view.setUint16(0, Math.floor(wallMs / 2 ** 32));
  view.setUint32(2, wallMs % 2 ** 32);
  view.setUint8(6, 0x70 | (view.getUint8(6) & 0x0f));
  view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f));
  return key;
}
