import { refused } from "#edge/connection/intents.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import type { PostDone, PosterDone, ShardPoster } from "./shard-poster.ts";
import type { Shards } from "./shards.ts";

/** Hands one operation to a shard; may be called again for another shard, with the same key. */
export type Submit = (poster: ShardPoster, done: PosterDone) => void;

/** Pauses before each further try of what is `moved`, milliseconds; then it is refused. */
const movedPausesMs: readonly number[] = [1, 20, 100, 300, 600];

interface Moving {
  readonly waiting: (() => void)[];
}

/**
 * Operations to the shard that has their room. The routing table is a hint: a shard that answers
 * `moved` took nothing, so the table is read again and the operation repeated with its key. What is
 * submitted for the room meanwhile waits behind it.
 */
export class Dispatch {
  /** Answers `moved` since the start; for metrics. */
  movedCount = 0;
  private readonly shards: Shards;
  private readonly refresh: () => void;
  private readonly moving = new Map<string, Moving>();

  /** `refresh` reads the routing table again, at once. */
  constructor(shards: Shards, refresh: () => void) {
    this.shards = shards;
    this.refresh = refresh;
  }

  /** Submits; `done` is never called inside this call. */
  submit(name: RoomName, act: Submit, done: PostDone): void {
    const moving = this.moving.get(keyOf(name));
    if (moving === undefined) this.attempt(name, act, done, 0);
    else moving.waiting.push(() => this.attempt(name, act, done, 0));
  }

  private attempt(name: RoomName, act: Submit, done: PostDone, round: number): void {
    const shard = this.shards.of(name);
    if (shard === null) {
      setImmediate(done, refused("NO_LEADER", 1_000));
      return;
    }
    act(shard.poster, (outcome) => {
      if (outcome === "moved") this.again(name, act, done, round);
      else done(outcome);
    });
  }

  private again(name: RoomName, act: Submit, done: PostDone, round: number): void {
    this.movedCount += 1;
    const pauseMs = movedPausesMs[round];
    if (pauseMs === undefined) {
      done(refused("NO_LEADER", 1_000));
      return;
    }
    const key = keyOf(name);
    const retry = () => this.attempt(name, act, done, round + 1);
    const present = this.moving.get(key);
    if (present !== undefined) {
      present.waiting.push(retry);
      return;
    }
    const moving: Moving = { waiting: [retry] };
    this.moving.set(key, moving);
    setTimeout(() => {
      this.refresh();
      this.moving.delete(key);
      for (const go of moving.waiting) go();
    }, pauseMs);
  }
}

function keyOf({ tenant, room }: RoomName): string {
  return `${tenant}\u0000${room}`;
}
