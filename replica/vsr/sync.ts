import { assert } from "#replica/base/assert.ts";
import { viewFrom } from "#replica/base/brands.ts";
import { pipelineMax } from "#replica/base/limits.ts";
import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import { checkpointBusy } from "./checkpoint.ts";
import { decodeConsensusState } from "./consensus-state.ts";
import { adoptMembers } from "./membership.ts";
import { othersOf } from "./quorum.ts";
import type { State } from "./state.ts";
import { persist } from "./superblock.ts";
import { enterView } from "./view-change.ts";

/** Heartbeats after which a sync that does not end is aimed at the newest checkpoint. */
const retargetHeartbeats = 500;
/** Rounds of repair in vain, some two seconds, after which the next op counts as gone. */
const fruitlessMax = 100;

/**
 * Starts a state sync when the next op is out of every ring, or no peer gives it, and a quorum has
 * a newer checkpoint durable (rule A7): never to a checkpoint that a single replica holds.
 */
export function considerSync(state: State): void {
  const target = state.checkpointSeen;
  if (state.status !== "normal" || state.leads || state.sync !== null || target === null) return;
  if (!mayLeave(state)) return;
  if (target.op > state.quorumCheckpointOp || target.op <= state.commitMin) return;
  const gone = Math.max(state.opSeen, state.log.head, state.commitMax) - state.log.slotsCount;
  // What a dropped end of a log overwrote is not told by any head: then nobody gives the next op.
  const vain = state.fruitless.rounds >= fruitlessMax;
  if ((gone <= state.commitMin && !state.starved && !vain) || target.op > state.log.head) return;
  if (state.deadlines.running("sync")) return; // A failed try a moment ago.
  const [one, other] = othersOf(state.replica);
  assert(one !== undefined && other !== undefined, "VSR-03: peers");
  // The primary may be the one whose copy is damaged: the other is asked now and then.
  const second = one === state.primary ? other : one;
  const source = state.prng.chance(0.7) ? state.primary : second;
  state.sync = { target, source, startedMs: state.nowMs };
  state.fruitless.rounds = 0;
  const { heartbeatMs } = state.options.timing;
  state.deadlines.set("sync", state.nowMs + retargetHeartbeats * heartbeatMs);
  state.emit({ kind: "sync", target, source });
  state.emit({ kind: "status" });
}

/**
 * True when nothing under way here is worth waiting for: a replica that no peer gives a block of
 * its own state leaves the op and the checkpoint that need it.
 */
function mayLeave(state: State): boolean {
  const { checkpointNext, execution, starved } = state;
  if (starved) return checkpointNext === null && execution.kind !== "reading";
  return !checkpointBusy(state) && execution.kind === "idle";
}

/**
 * The host says that a damaged block of this state has been asked for in vain, or has come: peers
 * that have merged its segment away hold a newer checkpoint.
 */
export function onStarved(state: State, starved: boolean): void {
  state.starved = starved;
  if (starved) state.repairPending = true;
}

/** A primary cannot sync, so one that cannot run the next op gives its place away. */
export function considerStarved(state: State): void {
  if (!state.starved || !state.leads || state.execution.kind !== "loading") return;
  enterView(state, viewFrom(state.view + 1));
}

/** A sync takes very long: aims it at the newest quorum-durable checkpoint. */
export function syncTimeout(state: State): void {
  if (state.sync === null) return;
  const { heartbeatMs } = state.options.timing;
  state.deadlines.set("sync", state.nowMs + retargetHeartbeats * heartbeatMs);
  const target = state.checkpointSeen;
  if (target === null || target.op > state.quorumCheckpointOp) return;
  if (target.op <= state.sync.target.op) return;
  state.sync = { ...state.sync, target, startedMs: state.nowMs };
  state.emit({ kind: "sync", target, source: state.sync.source });
}

/** The machine now stands at the target; one superblock write makes that durable. */
export function onSyncDone(
  state: State,
  checkpoint: CheckpointDescriptor,
  sessions: Uint8Array,
): void {
  assert(state.sync !== null, "VSR-70: a sync was asked for");
  assert(checkpoint.op > state.commitMin, "VSR-70: a sync moves forward");
  assert(checkpoint.op <= state.log.head, "VSR-71: the log reaches over the checkpoint");
  assert(!checkpointBusy(state) || state.starved, "VSR-51: one checkpoint at a time");
  state.sync = null;
  state.starved = false;
  // What was under way belongs to the state that is gone.
  state.checkpointWriting = null;
  state.execution = { kind: "idle" };
  state.syncFailedOp = 0;
  state.deadlines.clear("sync");
  // A checkpoint never lies inside an upgrade.
  state.upgrade = null;
  state.commitMin = checkpoint.op;
  state.commitChecksum = checkpoint.opChecksum;
  if (state.commitMax < checkpoint.op) state.commitMax = checkpoint.op;
  const consensus = decodeConsensusState(sessions);
  state.sessions.load(consensus.sessions);
  state.replaced = consensus.members;
  adoptMembers(state, consensus.members);
  state.checkpointNext = checkpoint;
  state.checkpointSynced = true;
  // Only a suffix without holes may replace what the superblock says of the view's log.
  const headers = state.status === "normal" ? suffix(state) : null;
  if (headers !== null) state.viewHeaders = headers;
  state.repairPending = true;
  state.writesBlocked = true;
  persist(state);
  state.emit({ kind: "status" });
}

/** Headers from the head down to what is committed; null when one of them is not known. */
function suffix(state: State): State["viewHeaders"] | null {
  const headers = [state.log.headHeader()];
  for (let op = state.log.head - 1; op >= state.commitMax; op -= 1) {
    const header = op >= state.log.chainLow ? state.log.header(op) : null;
    if (header === null || headers.length > pipelineMax) return null;
    headers.push(header);
  }
  return headers;
}

/** The source could not give the checkpoint: another try later, aimed anew. */
export function onSyncFailed(state: State): void {
  if (state.sync === null) return;
  state.syncFailedOp = state.sync.target.op;
  state.sync = null;
  const { heartbeatMs } = state.options.timing;
  state.deadlines.set("sync", state.nowMs + heartbeatMs * (1 + state.prng.fraction()));
  state.repairPending = true;
  state.emit({ kind: "status" });
}
