import type { RoomName } from "#replica/wire/client-message.ts";

/** An answer is given to all who ask within this time: shards sign once a second. */
export const checkpointKeptMs = 1_000;

/**
 * The newest signed checkpoint of each shard, asked for once a second at most, however many rooms
 * want it.
 */
export class ShardCheckpoints {
  private readonly ask: (name: RoomName) => Promise<string | null>;
  private readonly kept = new Map<
    string,
    { readonly atMs: number; readonly note: Promise<string | null> }
  >();

  /** `ask`: the shard of that room; null or a rejection = it has none to give. */
  constructor(ask: (name: RoomName) => Promise<string | null>) {
    this.ask = ask;
  }

  /** `shard` has the room. One answer is kept a shard; shards are as many as the routing table. */
  async of(shard: string, name: RoomName, nowMs: number): Promise<string | null> {
    const kept = this.kept.get(shard);
    if (kept !== undefined && nowMs - kept.atMs < checkpointKeptMs) return await kept.note;
    const note = this.ask(name).catch(() => null);
    this.kept.set(shard, { atMs: nowMs, note });
    return await note;
  }
}
