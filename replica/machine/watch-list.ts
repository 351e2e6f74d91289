import { assert } from "#replica/base/assert.ts";
import { seqFrom } from "#replica/base/brands.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import type { EntryStore } from "./entry-store.ts";
import type { RoomFact } from "./port.ts";
import type { EntryPlace } from "./room-reader.ts";
import { joinPlaces } from "./room-reader.ts";
import type { RoomTable } from "./room-table.ts";

interface Watched {
  readonly name: RoomName;
  /** -1 until the room exists. */
  room: number;
  /** Seq of the last entry that was drained. */
  drained: number;
}

/** Entries as they are shown to those who watch. */
type Show = (room: number, places: readonly EntryPlace[]) => readonly EntryPlace[];

/** Entries that are gathered for one room at a time when facts are drained. */
const batchMax = 1024;

function nameKey(name: RoomName): string {
  return `${name.tenant}\u0000${name.room}`;
}

/** Rooms that somebody watches at this replica, and what was committed in them. Not state. */
export class WatchList {
  private readonly byName = new Map<string, Watched>();
  private readonly byRoom = new Map<number, Watched>();
  private readonly touched = new Set<number>();

  /** Rooms watched, existing or not. */
  get count(): number {
    return this.byName.size;
  }

  /** Starts watching; `room` -1 when it does not exist yet. */
  add(name: RoomName, room: number, head: number): void {
    if (this.byName.has(nameKey(name))) return;
    const watched = { name, room, drained: head };
    this.byName.set(nameKey(name), watched);
    if (room >= 0) this.byRoom.set(room, watched);
  }

  /** Ends watching; returns the room's number or -1. */
  remove(name: RoomName): number {
    const watched = this.byName.get(nameKey(name));
    if (watched === undefined) return -1;
    this.byName.delete(nameKey(name));
    this.byRoom.delete(watched.room);
    this.touched.delete(watched.room);
    return watched.room;
  }

  /** A room was created or restored; true when it is watched. */
  found(name: RoomName, room: number, head: number): boolean {
    const watched = this.byName.get(nameKey(name));
    if (watched === undefined) return false;
    watched.room = room;
    watched.drained = head;
    this.byRoom.set(room, watched);
    return true;
  }

  /** Everything is about to be restored: numbers no longer hold. */
  detach(): void {
    this.byRoom.clear();
    this.touched.clear();
    for (const watched of this.byName.values()) watched.room = -1;
  }

  /** Names that are watched. */
  names(): readonly RoomName[] {
    return [...this.byName.values()].map((watched) => watched.name);
  }

  /** An entry was committed in a watched room. */
  touch(room: number): void {
    this.touched.add(room);
  }

  /** What was committed since the last drain, by room; a large amount comes as several facts. */
  drain(rooms: RoomTable, store: EntryStore, show: Show): readonly RoomFact[] {
    if (this.touched.size === 0) return [];
    const facts: RoomFact[] = [];
    for (const room of this.touched) {
      const watched = this.byRoom.get(room);
      assert(watched !== undefined, "MCH-07: touched rooms are watched");
      const page = rooms.page(room);
      const head = page.head[rooms.at(room)] ?? 0;
      const newest = page.newest[rooms.at(room)] ?? -1;
      while (watched.drained < head) drainSome(watched, store, newest, head, facts, show);
    }
    this.touched.clear();
    return facts;
  }
}

function drainSome(
  watched: Watched,
  store: EntryStore,
  newest: number,
  head: number,
  facts: RoomFact[],
  show: Show,
): void {
  const last = Math.min(head, watched.drained + batchMax);
  let at = store.find(newest, last);
  const places: EntryPlace[] = [];
  for (let seq = last; seq > watched.drained; seq -= 1) {
    assert(at >= store.floor, "MCH-07: facts are drained before they leave memory");
    places.push({ bytes: store.bytesOf(at), at: store.offsetOf(at), length: store.lengthOf(at) });
    at = store.previousOf(at);
  }
  const shown = show(watched.room, places.reverse());
  const entries = joinPlaces(shown, "first");
  let count = 0;
  for (let bytes = 0; bytes < entries.length; count += 1) bytes += 4 + (shown[count]?.length ?? 0);
  const seqFirst = seqFrom(watched.drained + 1);
  facts.push({ name: watched.name, seqFirst, count, entries });
  watched.drained += count;
}
