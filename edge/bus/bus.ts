import type { RoomAnswer, RoomName } from "#replica/wire/client-message.ts";

/** What a bus tells its owner. Calls are synchronous and must not throw. */
export interface BusEvents {
  /** Committed entries of a watched room, encoded (entry.ts), each behind its u32 length. */
  readonly onEntries: (name: RoomName, entries: Uint8Array) => void;
  /** A watch was made again after a reconnect; `head` shows what was missed. */
  readonly onWatched: (name: RoomName, answer: RoomAnswer) => void;
}

/**
 * Carries committed entries from shards to edges. It may lose, repeat and delay: the log may not,
 * and whoever listens sees holes by seq and lost tails by head. `direct` asks the shards
 * themselves; an adapter over another server differs in where entries come from, never in what
 * reads them.
 */
export interface Bus {
  /** From now on entries of the room come; the room's position, or null when nobody answers. */
  watch(name: RoomName): Promise<RoomAnswer | null>;
  unwatch(name: RoomName): void;
}
