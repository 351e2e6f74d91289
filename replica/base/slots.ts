import { slotsCount } from "./limits.ts";
import { utf8From } from "./text.ts";

/**
 * The slot of a room in its slot space, 0 to 4,095: FNV-1a (32 bit) over tenant, a zero byte and
 * the room id in UTF-8, then murmur3's finalizer, so that near names spread. Fixed for ever. What
 * follows a slash names a thread, which lies in the slot of its room.
 */
export function slotOfRoom(tenant: string, room: string): number {
  let hash = 0x811c9dc5;
  const slash = room.indexOf("/");
  const base = slash < 0 ? room : room.slice(0, slash);
  for (const part of [tenant, "\u0000", base]) {
    for (const byte of utf8From(part)) hash = Math.imul(hash ^ byte, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % slotsCount;
}
