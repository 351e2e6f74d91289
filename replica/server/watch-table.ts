import { BoundedMap } from "#replica/base/bounded-map.ts";
import type { RoomName } from "#replica/wire/client-message.ts";

/** Watches of all connections together at most. */
export const watchesMax = 1 << 20;
/** Rooms that somebody watches at most. */
export const watchedRoomsMax = 1 << 18;

/** Who watches which rooms. Connections are numbers of the host. */
export class WatchTable {
  private readonly byRoom = new BoundedMap<string, { name: RoomName; connections: Set<number> }>(
    watchedRoomsMax,
  );
  private readonly byConnection = new Map<number, Set<string>>();
  private used = 0;

  /** Watches held. */
  get count(): number {
    return this.used;
  }

  /** `first`: nobody watched the room before; `full`: refused. Idempotent. */
  add(connection: number, name: RoomName): "first" | "more" | "full" {
    const key = keyOf(name);
    const watched = this.byRoom.get(key);
    if (watched?.connections.has(connection)) return "more";
    if (this.used >= watchesMax) return "full";
    if (watched === undefined) {
      const fresh = { name, connections: new Set([connection]) };
      if (!this.byRoom.trySet(key, fresh)) return "full";
    } else watched.connections.add(connection);
    const rooms = this.byConnection.get(connection) ?? new Set();
    this.byConnection.set(connection, rooms.add(key));
    this.used += 1;
    return watched === undefined ? "first" : "more";
  }

  /** True when nobody watches the room any more. */
  remove(connection: number, name: RoomName): boolean {
    const key = keyOf(name);
    this.byConnection.get(connection)?.delete(key);
    return this.drop(connection, key);
  }

  /** Forgets a connection; returns the rooms that nobody watches any more. */
  removeConnection(connection: number): readonly RoomName[] {
    const keys = this.byConnection.get(connection) ?? [];
    this.byConnection.delete(connection);
    const alone: RoomName[] = [];
    for (const key of keys) {
      const name = this.byRoom.get(key)?.name;
      if (this.drop(connection, key) && name !== undefined) alone.push(name);
    }
    return alone;
  }

  /** Connections that watch a room. */
  watchers(name: RoomName): Iterable<number> {
    return this.byRoom.get(keyOf(name))?.connections ?? [];
  }

  private drop(connection: number, key: string): boolean {
    const watched = this.byRoom.get(key);
    if (watched === undefined || !watched.connections.delete(connection)) return false;
    this.used -= 1;
    if (watched.connections.size > 0) return false;
    this.byRoom.delete(key);
    return true;
  }
}

function keyOf(name: RoomName): string {
  return `${name.tenant}\u0000${name.room}`;
}
