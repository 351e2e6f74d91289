import { assert } from "#replica/base/assert.ts";
import { type ReplicaIndex, type View, viewFrom } from "#replica/base/brands.ts";
import { ownLife, ownMark } from "./lives.ts";
import { sendCommit } from "./normal.ts";
import { nextViewOf } from "./quorum.ts";
import { send } from "./send.ts";
import type { State } from "./state.ts";
import { statusOf } from "./status.ts";
import { enterView } from "./view-change.ts";

/** Between two looks at the target, ms; each step that may bring news looks too: no timeout. */
const lookMs = 2;

/** Begins a planned transfer: no request is admitted until it ends. Ignored unless this leads. */
export function onTransfer(state: State, target: ReplicaIndex): void {
  if (!state.leads || target === state.replica || state.transfer !== null) return;
  beginTransfer(state, target, nextViewOf(state.view, target));
}

function beginTransfer(state: State, target: ReplicaIndex, view: View): void {
  state.transfer = { target, untilMs: state.nowMs + state.timing.transferMs, view };
  state.deadlines.set("transfer", state.nowMs);
}

/**
 * A replaced replica has caught up, but has no vote in this view yet: the primary leads the shard,
 * by a planned transfer to itself, to the first view of its own in which it has (rule A11).
 */
export function considerFloor(state: State): void {
  if (!state.leads || !state.voting || state.transfer !== null) return;
  const floor = state.peers.reduce((max, peer, i) => {
    const waits = i !== state.replica && peer.vouches && !peer.learner;
    return waits && peer.voteFloor > max ? peer.voteFloor : max;
  }, state.view);
  if (floor === state.view) return;
  beginTransfer(state, state.replica, nextViewOf(viewFrom(floor - 1), state.replica));
}

/** Hands over when the target has executed everything, or gives up when it is not even heard. */
export function continueTransfer(state: State): void {
  const { transfer } = state;
  if (transfer === null || !state.leads) return;
  const peer = state.peers[transfer.target];
  const itself = transfer.target === state.replica;
  const ready = itself || (peer !== undefined && peer.commitMin >= state.log.head);
  const late = state.nowMs >= transfer.untilMs;
  const heard = (peer?.heardMs ?? -Infinity) > state.nowMs - state.options.timing.suspectMs;
  if (late && !heard && !itself) {
    state.transfer = null;
    return;
  }
  if ((ready && state.pipeline.count === 0) || late) {
    enterView(state, transfer.view);
    return;
  }
  state.deadlines.set("transfer", state.nowMs + lookMs);
  if (!state.voting || !state.logDurable) return;
  sendCommit(state);
  if (!itself) ping(state, transfer.target);
}

/** Asks a peer for a sign of life, its formation, its volume and how far it is. */
export function ping(state: State, to: ReplicaIndex): void {
  sendPing(state, to, "ping", Math.floor(state.nowMs));
}

/** Answers a ping with its own time. */
export function pong(state: State, to: ReplicaIndex, monotonicMs: number): void {
  sendPing(state, to, "pong", monotonicMs);
}

function sendPing(
  state: State,
  to: ReplicaIndex,
  kind: "ping" | "pong",
  monotonicMs: number,
): void {
  const own = ownLife(state);
  // A formed volume speaks of itself only when its present life is durable.
  if (own === null && state.formed) return;
  const peer = state.peers[to];
  assert(peer !== undefined, "VSR-03: peer");
  // A pong measures the peer's time, not ours.
  if (kind === "ping") peer.pingedMs = state.nowMs;
  const { durable } = state.superblock;
  send(state, to, {
    kind,
    monotonicMs,
    wallClockUs: state.wallUs,
    formationId: durable.identity.formationId,
    versions: state.options.machine.versions,
    commitMin: state.commitMin,
    lives: own === null ? [] : durable.standing.lives,
    mark: ownMark(state),
    yours: peer.judged,
    // Durable: a peer throws its former key away by this word.
    replaced: durable.members.filter(({ replaceOp }) => replaceOp !== undefined),
    status: statusOf(state),
    learner: durable.recovering,
    voteFloor: durable.voteFloor,
    checkpointOp: durable.checkpoint.op,
    checkpointId: durable.checkpoint.id,
  });
}
