import { assert } from "#replica/base/assert.ts";
import { opFrom } from "#replica/base/brands.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import { keptMax, type SuperblockState } from "#replica/wire/superblock.ts";
import { noteCheckpoint } from "./agreement.ts";
import { livesOf } from "./lives.ts";
import type { State } from "./state.ts";

declare const MUTATIONS: boolean | undefined;

/** Faults that a superblock lists; the next ones follow when these are repaired. */
const faultyOpsMax = 896;

/** Of checkpoints, oldest first, the newest that a quorum is known to have; else the oldest. */
function newestOfQuorum(
  checkpoints: readonly CheckpointDescriptor[],
  quorumCheckpointOp: number,
): CheckpointDescriptor | undefined {
  let newest = checkpoints[0];
  for (const one of checkpoints) if (one.op <= quorumCheckpointOp) newest = one;
  return newest;
}

/** The checkpoint that peers may sync to: the newest of ours that a quorum has (rule A7). */
export function offeredCheckpoint(state: State): CheckpointDescriptor {
  return newestOfQuorum(state.checkpoints, state.quorumCheckpointOp) ?? state.checkpoint;
}

/** The newest own checkpoint, and those before it from the one that is offered on. */
function heldCheckpoints(state: State): Pick<SuperblockState, "checkpoint" | "kept"> {
  const { checkpointNext: next, checkpointSynced, checkpoints, quorumCheckpointOp } = state;
  if (next !== null && checkpointSynced) return { checkpoint: next, kept: [] };
  const held = next === null ? checkpoints : [...checkpoints, next];
  const offered = newestOfQuorum(held, quorumCheckpointOp);
  const kept = held.filter(({ op }) => op >= (offered?.op ?? 0));
  const checkpoint = kept.pop() ?? state.checkpoint;
  assert(kept.length <= keptMax, "VSR-55: as many checkpoints as a superblock names");
  return { checkpoint, kept };
}

function build(state: State): SuperblockState {
  const { durable } = state.superblock;
  const { vote, selected } = state.change;
  const voted = state.status === "view_change" && vote !== null && !selected;
  const skip =
    (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("skip_log_view_persistence");
  return {
    ...durable,
    sequence: durable.sequence + 1,
    members: state.members.slice(),
    recovering: state.recovering,
    view: state.view,
    logView: skip ? durable.logView : state.logView,
    viewHeaders: skip ? durable.viewHeaders : state.viewHeaders,
    // A vote's range depends on it, and the vote must not change (A5a 5).
    commitMax: voted ? vote.commitMax : state.commitMax,
    ...heldCheckpoints(state),
    quorumCheckpointOp: state.quorumCheckpointOp,
    faultyOps: state.log.headCertain
      ? state.log.faultyOps().slice(0, faultyOpsMax)
      : durable.faultyOps,
    standing: {
      ...durable.standing,
      lives: livesOf(state),
      remembered: state.memories.filter((memory) => memory !== null),
      lost: state.lost,
      learnOp: state.recovering ? durable.standing.learnOp : opFrom(0),
    },
  };
}

/**
 * Makes view, log_view, headers, checkpoint and faults durable in one atomic write (rule A2).
 * One write at a time; what changes meanwhile goes with the next one.
 */
export function persist(state: State): void {
  const { superblock } = state;
  if (superblock.writing !== null) {
    superblock.dirty = true;
    return;
  }
  superblock.writing = build(state);
  superblock.dirty = false;
  assert(superblock.writing.view >= superblock.durable.view, "VSR-14: views never go back");
  assert(superblock.writing.logView >= superblock.durable.logView, "VSR-15: nor do log views");
  assert(superblock.writing.checkpoint.op >= superblock.durable.checkpoint.op, "VSR-16: forward");
  state.emit({ kind: "write_superblock", state: superblock.writing });
}

function installCheckpoint(state: State, next: CheckpointDescriptor): void {
  const { checkpointSynced } = state;
  if (checkpointSynced) state.checkpoints.length = 0;
  state.checkpoints.push(next);
  state.checkpoint = next;
  noteCheckpoint(state, state.replica, next.op, next.id);
  state.checkpointNext = null;
  state.checkpointSynced = false;
  // What a quorum had durable before is installed at once; our own when the quorum has it too.
  if (checkpointSynced) state.emit({ kind: "checkpoint_installed", checkpoint: next });
}

/**
 * Lets go of checkpoints that the durable superblock does not name any more: each that takes the
 * place of the oldest is told of once, in order. A sync under way has let go of them all.
 */
function releaseCheckpoints(state: State): void {
  const { checkpoints, checkpointSynced, superblock } = state;
  const oldest = superblock.durable.kept[0] ?? superblock.durable.checkpoint;
  for (let next = checkpoints[1]; next !== undefined; next = checkpoints[1]) {
    if (next.op > oldest.op || checkpointSynced) break;
    checkpoints.shift();
    state.releasing += 1;
    state.emit({ kind: "checkpoint_installed", checkpoint: next });
  }
  assert(checkpoints.length > 0, "VSR-53: the newest checkpoint of a quorum is kept");
}

/** Notes that a write is durable; true when it was the one in flight. Starts the next if needed. */
export function superblockDurable(state: State, sequence: number): boolean {
  const { superblock } = state;
  const written = superblock.writing;
  if (written === null || written.sequence !== sequence) return false;
  superblock.writing = null;
  superblock.durable = written;
  superblock.writtenMs = state.nowMs;
  superblock.durableView = written.view;
  superblock.durableLogView = written.logView;
  if ((typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("skip_log_view_persistence")) {
    // The bug: believes that log_view is durable though it was not written.
    if (written.view === state.view && !superblock.dirty) superblock.durableLogView = state.logView;
  }
  const next = state.checkpointNext;
  if (next !== null && written.checkpoint.id === next.id) {
    installCheckpoint(state, next);
  }
  releaseCheckpoints(state);
  if (written.standing.lives.length > 0) state.formed = true;
  if (superblock.dirty) persist(state);
  return true;
}

/** Lowest op that the ring must keep at least: one above what may be overwritten (rule A7). */
export function overwritableOp(state: State): number {
  const durable = state.superblock.durable.checkpoint.op;
  return opFrom(Math.min(durable, state.quorumCheckpointOp));
}
