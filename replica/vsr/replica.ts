import type { Op, ReplicaIndex, View } from "#replica/base/brands.ts";
import { opFrom, replicaFrom } from "#replica/base/brands.ts";
import { replicasCount } from "#replica/base/limits.ts";
import type { Effect } from "./effect.ts";
import type { Event } from "./event.ts";
import { checkOptions, type ReplicaOptions } from "./options.ts";

/** What a replica is doing (vsr.md A2); `syncing` is a normal backup that fetches a checkpoint. */
export type Status = "normal" | "view_change" | "recovering_head" | "syncing" | "learner";

/**
 * One replica of a shard: Viewstamped Replication as a pure, synchronous state machine
 * (VRR 2012; vsr.md A). The host hands it events with the time and executes its effects in order.
 */
export class Replica {
  /** Monotonic time of the next wanted `timeout` event, ms; Infinity = never. Read after a step. */
  deadlineMs = 0;
  status: Status = "normal";
  view: View;
  /** Applied to the machine up to here. */
  commitMin: Op;
  /** Known to be committed up to here; may lie over what this replica holds. */
  commitMax: Op;
  head: Op;
  /** Op of the durable checkpoint. */
  checkpointOp: Op;
  /** False until formation, while recovering and below the vote floor (vsr.md A11). */
  voting = false;
  private effects: Effect[] = [];

  /** The machine stands at the recovered checkpoint. Step a `timeout` at once: it opens the log. */
  constructor(options: ReplicaOptions) {
    checkOptions(options);
    const { superblock } = options.recovered;
    this.view = superblock.view;
    this.commitMin = superblock.checkpoint.op;
    this.commitMax = superblock.commitMax;
    this.head = opFrom(0);
    this.checkpointOp = superblock.checkpoint.op;
  }

  /** Primary of the current view: view mod 3. */
  get primary(): ReplicaIndex {
    return replicaFrom(this.view % replicasCount);
  }

  /**
   * Handles one event. `nowMs`: monotonic, may be fractional, never goes back. `wallUs`: wall clock
   * in microseconds, integer; the log's own time never goes back even when this does.
   */
  step(event: Event, nowMs: number, wallUs: number): void {
    void event;
    void nowMs;
    void wallUs;
  }

  /** Effects since the last drain, in the order in which they must be executed. */
  drain(): readonly Effect[] {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }
}
