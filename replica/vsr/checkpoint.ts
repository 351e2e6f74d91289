import { assert } from "#replica/base/assert.ts";
import { opFrom } from "#replica/base/brands.ts";
import type { Op } from "#replica/base/brands.ts";
import { pipelineMax } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import { keptMax } from "#replica/wire/superblock.ts";
import { encodeConsensusState } from "./consensus-state.ts";
import { secondHighest } from "./quorum.ts";
import type { State } from "./state.ts";
import { offeredCheckpoint, persist } from "./superblock.ts";

declare const MUTATIONS: boolean | undefined;

/** Ops between two checkpoints for a WAL of that many slots (rule A7). */
export function checkpointInterval(walSlotsCount: number): number {
  const interval = Math.floor((walSlotsCount - 2 * pipelineMax) / 2);
  assert(interval >= 1, "VSR-50: the WAL holds two intervals and two pipelines");
  assert(2 * interval + 2 * pipelineMax <= walSlotsCount, "VSR-50: ring bound");
  return interval;
}

/** True when every replica takes a checkpoint right after it applied this op. */
export function isCheckpointOp(state: State, op: number): boolean {
  return op > 0 && op % checkpointInterval(state.log.slotsCount) === 0;
}

/** True while a checkpoint is being written or waits for its superblock. */
export function checkpointBusy(state: State): boolean {
  return state.checkpointWriting !== null || state.checkpointNext !== null;
}

/** Freezes the machine at a checkpoint op that was just applied and has it written. */
export function beginCheckpoint(state: State, op: Op): void {
  assert(!checkpointBusy(state), "VSR-51: one checkpoint at a time");
  assert(!checkpointsFull(state), "VSR-55: as many checkpoints as a superblock names");
  state.options.machine.freeze(op);
  state.checkpointWriting = op;
  state.emit({
    kind: "write_checkpoint",
    op,
    opChecksum: state.commitChecksum,
    parentId: state.checkpoint.id,
    sessions: encodeConsensusState(state.sessions, state.replaced),
  });
}

/** The host has written a checkpoint; one superblock write makes it ours. */
export function onCheckpointDurable(state: State, checkpoint: CheckpointDescriptor): void {
  assert(checkpoint.op === state.checkpointWriting, "VSR-51: the checkpoint that was begun");
  const { root, parentId, op, opChecksum } = checkpoint;
  const id = state.options.sealer.checkpointId(root, parentId, op, opChecksum);
  assert(id === checkpoint.id, "VSR-52: a checkpoint's id follows from its content");
  assert(parentId === state.checkpoint.id, "VSR-52: checkpoints chain");
  state.checkpointWriting = null;
  state.checkpointNext = checkpoint;
  persist(state);
}

/** Raises what two replicas have durable, by what this replica knows; monotone (rule A7). */
export function updateQuorumCheckpoint(state: State): void {
  const own = state.superblock.durable.checkpoint.op;
  const known = state.peers.map((peer, i) => (i === state.replica ? own : peer.checkpointOp));
  const wrong = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("lonely_checkpoint");
  learnQuorumCheckpoint(state, opFrom(wrong ? Math.max(...known) : secondHighest(known)));
}

/** Takes over another replica's knowledge of the quorum's checkpoint. */
export function learnQuorumCheckpoint(state: State, op: Op): void {
  if (op > state.quorumCheckpointOp) state.quorumCheckpointOp = op;
}

/**
 * Has the superblock forget checkpoints that are older than the newest of ours that a quorum has:
 * only what no superblock names any more may leave the disk.
 */
export function considerRelease(state: State): void {
  const { durable, writing } = state.superblock;
  if (state.checkpoints.length === 1 || writing !== null || state.checkpointSynced) return;
  const oldest = durable.kept[0] ?? durable.checkpoint;
  if (oldest.op < offeredCheckpoint(state).op) persist(state);
}

/** True when as many checkpoints are kept as a volume may keep: the next one waits (rule A7). */
export function checkpointsFull(state: State): boolean {
  return state.checkpoints.length + state.releasing > keptMax;
}
