import { slotsCount } from "./limits.ts";
import { utf8From } from "./text.ts";

const slash = 0x2f;

/**
 * The slot of a room in its slot space, 0 to 4,095: FNV-1a (32 bit) over tenant, a zero byte and
 * the room id in UTF-8, then murmur3's finalizer, so that near names spread. Fixed for ever. What
 * follows a slash names a thread, which lies in the slot of its room.
 */
export function slotOfRoom(tenant: string, room: string): number {
  const first = utf8From(tenant);
  const second = utf8From(room);
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return slotOfBytes(bytes, 0, first.length, second.length);
}

/** The same for names in UTF-8: the tenant's bytes from `start` on, then the room's. */
export function slotOfBytes(
  bytes: Uint8Array,
  start: number,
  tenantBytes: number,
  roomBytes: number,
): number {
  let hash = 0x811c9dc5;
  const roomAt = start + tenantBytes;
  for (let i = start; i < roomAt; i += 1) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  hash = Math.imul(hash, 0x01000193);
  for (let i = roomAt; i < roomAt + roomBytes && bytes[i] !== slash; i += 1) {
    hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % slotsCount;
}
