import { assert } from "#replica/base/assert.ts";
import { bytesConcat } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import type { Digest } from "./merkle.ts";
import { treeHashBytes } from "./merkle.ts";

/** Bytes of the secret that blinds one room's name. */
export const blindBytes = 16;
/** Bytes of a record: blinded name 32, size u64 big-endian, root 32. */
export const recordBytes = 72;

/** First bytes of what a blinded name is the hash of. */
export const blindDomain = utf8From("tigerchat room v1\n");
/** First bytes of what a room's secret is the hash of. */
export const secretDomain = utf8From("tigerchat blind v1\n");

function nameBytes(name: RoomName): Uint8Array {
  const tenant = utf8From(name.tenant);
  const room = utf8From(name.room);
  assert(tenant.length <= 255 && room.length <= 255, "PRF-06: a room's name");
  return bytesConcat([Uint8Array.of(tenant.length, room.length), tenant, room]);
}

/** The secret of one room, from the shard's seed of 16 bytes, which clients never learn. */
export function blindOf(digest: Digest, seed: Uint8Array, name: RoomName): Uint8Array {
  return digest(bytesConcat([secretDomain, seed, nameBytes(name)])).slice(0, blindBytes);
}

/** What stands for a room in its shard's log: tells nothing to those without the secret. */
export function blindedName(digest: Digest, blind: Uint8Array, name: RoomName): Uint8Array {
  assert(blind.length === blindBytes, "PRF-06: secret of a room");
  return digest(bytesConcat([blindDomain, blind, nameBytes(name)]));
}

/** A leaf of the shard's log: this room has this many entries under this root. */
export function encodeRecord(blinded: Uint8Array, size: number, root: Uint8Array): Uint8Array {
  assert(blinded.length === treeHashBytes && root.length === treeHashBytes, "PRF-01: a record");
  assert(Number.isSafeInteger(size) && size >= 0, "PRF-06: size of a record");
  const bytes = new Uint8Array(recordBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(blinded);
  view.setUint32(32, Math.floor(size / 2 ** 32));
  view.setUint32(36, size % 2 ** 32);
  bytes.set(root, 40);
  return bytes;
}
