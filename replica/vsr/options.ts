import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import { pipelineMax, prepareBodyBytesMax } from "#replica/base/limits.ts";
import {
  completeTiming,
  quorumProblem,
  type TimingConfig,
  timingProblem,
} from "#replica/base/timing.ts";
import type { RecoveredState } from "#replica/wire/storage-port.ts";
import type { Machine, Sealer } from "./port.ts";

/** Bytes of a batch from which on a shard counts as busy: some forty messages. */
export const busyBatchBytes = 8 * 1024;

/** When the primary makes a batch. */
export interface BatchOptions {
  /** Least time between two batches while one is in flight, ms. */
  readonly lingerMs: number;
  /** Prepares in flight up to which a batch that is not full may go, to pipelineMax; 2. */
  readonly depth?: number;
  /**
   * Least time between two batches of a busy shard even when nothing is in flight, ms; default 0.
   * Busy: the last batch had at least {@link busyBatchBytes}. A batch costs every replica a frame,
   * a signature and a synced write, whatever it carries, so fewer and larger ones save CPU.
   */
  readonly gapMs?: number;
  /** Bytes of a prepare's body at most; default and maximum {@link prepareBodyBytesMax}. */
  readonly bytesMax?: number;
}

/** Everything that a {@link Replica} is given at its start. */
export interface ReplicaOptions {
  readonly replica: ReplicaIndex;
  /** What the disk held, judged by storage; the machine stands at its checkpoint. */
  readonly recovered: RecoveredState;
  readonly machine: Machine;
  readonly sealer: Sealer;
  /** Chance for jitter, nonces and repair; a safe integer from 0. */
  readonly seed: number;
  /** Timeouts; what it does not say follows from what it does. */
  readonly timing: TimingConfig;
  readonly quorum: { readonly replication: number; readonly viewChange: number };
  readonly batch: BatchOptions;
  /** Encoded session table of the recovered checkpoint; empty at genesis. */
  readonly sessions: Uint8Array;
}

/** Checkpoints whose ids are compared between replicas, newest ones. */
export const checkpointRowsMax = 8;

/** Checks the options against each other. Asserts: a wrong configuration must not start. */
export function checkOptions(options: ReplicaOptions): void {
  const { timing, quorum, batch } = options;
  const sizes = quorumProblem(quorum);
  assert(sizes === null, `VSR-01: quorum.${sizes?.member} ${sizes?.what}`);
  const times = timingProblem(completeTiming(timing));
  assert(times === null, `VSR-02: timing.${times?.member} ${times?.what}`);
  assert(batch.lingerMs >= 0 && (batch.gapMs ?? 0) >= 0, "VSR-02: linger");
  const depth = batch.depth ?? 2;
  assert(depth >= 1 && depth <= pipelineMax, "VSR-02: depth");
  assert((batch.bytesMax ?? 0) <= prepareBodyBytesMax, "VSR-02: a batch fits a slot");
  assert(options.recovered.superblock.identity.replica === options.replica, "VSR-03: own volume");
}
