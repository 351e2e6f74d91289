import type { RoomAnswer, RoomName } from "#replica/wire/client-message.ts";
import type { Bus } from "./bus.ts";
import type { Shards } from "./shards.ts";

/** The bus without a further server: watches rooms at the shards that own them. */
export class DirectBus implements Bus {
  private readonly shards: Shards;
  /** Where each watched room is watched: it may have moved since. */
  private readonly watched = new Map<string, string>();

  /** Watches through these links. */
  constructor(shards: Shards) {
    this.shards = shards;
  }

  async watch(name: RoomName): Promise<RoomAnswer | null> {
    const shard = this.shards.of(name);
    if (shard === null) return null;
    const key = keyOf(name);
    const before = this.watched.get(key);
    if (before !== undefined && before !== shard.name) this.unwatch(name);
    this.watched.set(key, shard.name);
    return await shard.link.watch(name);
  }

  unwatch(name: RoomName): void {
    const shard = this.watched.get(keyOf(name));
    this.watched.delete(keyOf(name));
    this.shards
      .all()
      .find((port) => port.name === shard)
      ?.link.unwatch(name);
  }
}

function keyOf(name: RoomName): string {
  return `${name.tenant}\u0000${name.room}`;
}
