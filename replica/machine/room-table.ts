import { assert } from "#replica/base/assert.ts";
import { sameRange } from "#replica/base/byte-ranges.ts";
import { slotOfBytes } from "#replica/base/slots.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import { keyedHash } from "./keyed-hash.ts";
import { NameStore } from "./name-store.ts";

const pageBits = 12;
const pageRooms = 1 << pageBits;
const pageMask = pageRooms - 1;
/** Slots of the name index moved to a larger one with each insertion. */
const movesPerInsert = 16;

/** Fixed part of a room's name record: tenant, room and creator bytes, zero. */
const nameFixedBytes = 4;

/** Bits of `special`: cells say more about who may post. */
export const roomRules = 1;
/** Bit of `special`: some of its entries are redacted. */
export const roomRedactions = 2;
/** Bit of `special`: a thread; the rules of `base` hold. */
export const roomThread = 4;
const slash = 0x2f;

/** Columns of 4,096 rooms. */
class RoomPage {
  readonly head = new Float64Array(pageRooms);
  readonly floor = new Float64Array(pageRooms);
  /** Address of the newest entry in memory, -1 = none. */
  readonly newest = new Float64Array(pageRooms).fill(-1);
  readonly createdUs = new Float64Array(pageRooms);
  readonly nameAt = new Uint32Array(pageRooms);
  readonly nameHash = new Int32Array(pageRooms);
  readonly epoch = new Uint32Array(pageRooms);
  readonly slot = new Uint16Array(pageRooms);
  /** 1 = somebody watches it here (not state). */
  readonly watched = new Uint8Array(pageRooms);
  /** Room whose rules hold: of a thread the room that it is in, else itself. */
  readonly base = new Uint32Array(pageRooms);
  readonly special = new Uint8Array(pageRooms);
}

/**
 * All rooms of a shard by number, from 0 in order of creation, and by name. Columns in pages and
 * an index that grows a few slots at a time: no call takes long, whatever the number of rooms.
 */
export class RoomTable {
  private readonly pages: RoomPage[] = [];
  private readonly names = new NameStore();
  private readonly key0: number;
  private readonly key1: number;
  private readonly hash = new Int32Array(2);
  /** Open addressing; room number + 1, 0 = empty. */
  private index: Uint32Array = new Uint32Array(1024);
  /** The index before it grew, until all of it was moved. */
  private old: Uint32Array | null = null;
  private moved = 0;
  private rooms = 0;

  /** Two words that key the hash of names. */
  constructor(key0: number, key1: number) {
    this.key0 = key0;
    this.key1 = key1;
  }

  /** Rooms that exist. */
  get count(): number {
    return this.rooms;
  }

  /** Approximate bytes of memory held. */
  get memoryBytes(): number {
    const index = 4 * (this.index.length + (this.old?.length ?? 0));
    return this.pages.length * pageRooms * 52 + this.names.memoryBytes + index;
  }

  /** Columns of a room; use with {@link at}. */
  page(room: number): RoomPage {
    const page = this.pages[room >>> pageBits];
    assert(page !== undefined, "MCH-12: room number");
    return page;
  }

  /** Position of a room in its page. */
  at(room: number): number {
    return room & pageMask;
  }

  /** Number of the room with this name, or -1. */
  find(
    bytes: Uint8Array,
    tenantAt: number,
    tenantBytes: number,
    roomAt: number,
    roomBytes: number,
  ): number {
    const { hash, key0, key1 } = this;
    keyedHash(hash, key0, key1, 0, bytes, tenantAt, tenantBytes, roomAt, roomBytes);
    const wanted = hash[0] ?? 0;
    const found = this.probe(this.index, wanted, bytes, tenantAt, tenantBytes, roomAt, roomBytes);
    if (found >= 0 || this.old === null) return found;
    return this.probe(this.old, wanted, bytes, tenantAt, tenantBytes, roomAt, roomBytes);
  }

  private probe(
    index: Uint32Array,
    wanted: number,
    bytes: Uint8Array,
    tenantAt: number,
    tenantBytes: number,
    roomAt: number,
    roomBytes: number,
  ): number {
    const mask = index.length - 1;
    for (let slot = wanted & mask; ; slot = (slot + 1) & mask) {
      const room = (index[slot] ?? 0) - 1;
      if (room < 0) return -1;
      const page = this.page(room);
      if (page.nameHash[room & pageMask] !== wanted) continue;
      const address = page.nameAt[room & pageMask] ?? 0;
      const stored = this.names.bytesOf(address);
      const at = this.names.offsetOf(address);
      if (stored[at] !== tenantBytes || stored[at + 1] !== roomBytes) continue;
      const start = at + nameFixedBytes;
      if (!sameRange(stored, start, bytes, tenantAt, tenantBytes)) continue;
      if (sameRange(stored, start + tenantBytes, bytes, roomAt, roomBytes)) return room;
    }
  }

  /** Adds a room that {@link find} did not find. `names` holds tenant, room, creator in a row. */
  add(
    names: Uint8Array,
    start: number,
    tenantBytes: number,
    roomBytes: number,
    creatorBytes: number,
  ): number {
    const room = this.rooms;
    if (room >>> pageBits === this.pages.length) this.pages.push(new RoomPage());
    const length = tenantBytes + roomBytes + creatorBytes;
    const address = this.names.reserve(nameFixedBytes + length);
    const stored = this.names.bytesOf(address);
    const at = this.names.offsetOf(address);
    stored[at] = tenantBytes;
    stored[at + 1] = roomBytes;
    stored[at + 2] = creatorBytes;
    stored.set(names.subarray(start, start + length), at + nameFixedBytes);
    this.rooms += 1;
    const page = this.page(room);
    const { hash, key0, key1 } = this;
    const roomAt = start + tenantBytes;
    keyedHash(hash, key0, key1, 0, names, start, tenantBytes, roomAt, roomBytes);
    page.nameAt[room & pageMask] = address;
    page.nameHash[room & pageMask] = hash[0] ?? 0;
    page.floor[room & pageMask] = 1;
    page.slot[room & pageMask] = slotOfBytes(names, start, tenantBytes, roomBytes);
    this.insert(room, hash[0] ?? 0);
    const end = roomAt + roomBytes;
    const cut = names.subarray(roomAt, end).indexOf(slash);
    page.base[room & pageMask] = room;
    if (cut < 0) return room;
    const base = this.find(names, start, tenantBytes, roomAt, cut);
    assert(base >= 0, "MCH-12: a thread's room exists");
    page.base[room & pageMask] = base;
    page.special[room & pageMask] = roomThread;
    return room;
  }

  /** True when this user made the room. */
  isCreator(room: number, bytes: Uint8Array, at: number, length: number): boolean {
    const record = this.nameRecord(room);
    if (length === 0 || record[2] !== length) return false;
    return sameRange(record, record.length - length, bytes, at, length);
  }

  private insert(room: number, hash: number): void {
    if (this.old === null && 2 * this.rooms > this.index.length) {
      this.old = this.index;
      this.index = new Uint32Array(2 * this.index.length);
      this.moved = 0;
    }
    place(this.index, hash, room);
    const { old } = this;
    if (old === null) return;
    const end = Math.min(this.moved + movesPerInsert, old.length);
    for (; this.moved < end; this.moved += 1) {
      const moving = (old[this.moved] ?? 0) - 1;
      if (moving < 0) continue;
      const movingHash = this.page(moving).nameHash[moving & pageMask] ?? 0;
      // The old slot stays: a chain of probes through it must not break.
      place(this.index, movingHash, moving);
    }
    if (this.moved === old.length) this.old = null;
  }

  /** The room's name as strings. */
  name(room: number): RoomName {
    const address = this.page(room).nameAt[room & pageMask] ?? 0;
    const stored = this.names.bytesOf(address);
    const start = this.names.offsetOf(address) + nameFixedBytes;
    const roomAt = start + (stored[start - nameFixedBytes] ?? 0);
    const roomEnd = roomAt + (stored[start - nameFixedBytes + 1] ?? 0);
    const tenant = textFromUtf8(stored.subarray(start, roomAt));
    const name = textFromUtf8(stored.subarray(roomAt, roomEnd));
    assert(tenant !== null && name !== null, "MCH-12: a name is UTF-8");
    return { tenant, room: name };
  }

  /** The name record of a room, a view: lengths of tenant, room, creator, zero, then the three. */
  nameRecord(room: number): Uint8Array {
    const address = this.page(room).nameAt[room & pageMask] ?? 0;
    const stored = this.names.bytesOf(address);
    const at = this.names.offsetOf(address);
    const length = (stored[at] ?? 0) + (stored[at + 1] ?? 0) + (stored[at + 2] ?? 0);
    return stored.subarray(at, at + nameFixedBytes + length);
  }
}

function place(index: Uint32Array, hash: number, room: number): void {
  const mask = index.length - 1;
  let slot = hash & mask;
  while (index[slot] !== 0) slot = (slot + 1) & mask;
  index[slot] = room + 1;
}
