import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import { lifeHeartbeats, pingHeartbeats, tellHeartbeats } from "#replica/base/timing.ts";
import { clusterTime } from "./clock-keeping.ts";
import { ownLife, ownMark } from "./lives.ts";
import { ack } from "./normal.ts";
import { othersOf } from "./quorum.ts";
import { send } from "./send.ts";
import type { Peer, State } from "./state.ts";
import { statusOf } from "./status.ts";

/** Asks a peer for a sign of life, its time, its formation, its volume and how far it is. */
export function ask(state: State, to: ReplicaIndex): void {
  // Zero asks for nothing.
  sendPing(state, to, "ping", Math.max(1, Math.floor(state.nowMs)));
}

/** Tells a peer the same of this replica, without a question. */
export function tell(state: State, to: ReplicaIndex): void {
  sendPing(state, to, "ping", 0);
}

/** Answers a ping with its own time, if that asks. */
export function answer(state: State, to: ReplicaIndex, monotonicMs: number): void {
  if (monotonicMs > 0) sendPing(state, to, "pong", monotonicMs);
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
  const peer = peerOf(state, to);
  // A pong measures the peer's time, not ours.
  if (kind === "ping" && monotonicMs > 0) peer.askedMs = state.nowMs;
  peer.toldMs = state.nowMs;
  peer.toldNews = newsFor(state, peer);
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
    replaced: state.members.filter(({ replaceOp }) => replaceOp !== undefined),
    status: statusOf(state),
    learner: durable.recovering,
    voteFloor: durable.voteFloor,
    checkpointOp: durable.checkpoint.op,
    checkpointId: durable.checkpoint.id,
  });
}

function peerOf(state: State, replica: ReplicaIndex): Peer {
  const peer = state.peers[replica];
  assert(peer !== undefined, "VSR-03: peer");
  return peer;
}

/** All that changes of what a ping tells, but for what an ack or a COMMIT tells earlier. */
function newsFor(state: State, peer: Peer): string {
  const { sequence, logView, op } = ownMark(state);
  const { recovering, voteFloor, checkpoint } = state.superblock.durable;
  const { life, nonce, verdict } = peer.judged;
  const volume = `${sequence} ${logView} ${op} ${checkpoint.op} ${recovering} ${voteFloor}`;
  const members = state.members.map(({ replaceOp }) => replaceOp ?? 0).join(" ");
  return `${volume} ${statusOf(state)} ${members} ${life} ${nonce} ${verdict}`;
}

/**
 * Tells each peer what it must know by now (rule A4): every frame costs both sides a signature, so
 * a ping is only for who heard nothing lately or not the latest; it asks for an answer seldom.
 */
export function pingPeers(state: State): void {
  for (const to of othersOf(state.replica)) pingPeer(state, to);
  const { heartbeatMs } = state.options.timing;
  if (!state.formed) {
    state.deadlines.set("ping", state.nowMs + heartbeatMs);
    return;
  }
  // Each sign of life but the first is due lifeHeartbeats after the one before.
  const spokenMs = followsPrimary(state) ? peerOf(state, state.primary).sentMs : state.nowMs;
  const fromMs = Math.max(spokenMs, state.nowMs - heartbeatMs);
  state.deadlines.set("ping", fromMs + lifeHeartbeats * heartbeatMs);
}

function followsPrimary(state: State): boolean {
  return state.status === "normal" && !state.leads;
}

function pingPeer(state: State, to: ReplicaIndex): void {
  const peer = peerOf(state, to);
  const { nowMs } = state;
  const { heartbeatMs } = state.options.timing;
  const known = state.formed && peer.formation === "same" && peer.vouches;
  const told = peer.askedMs > nowMs - tellHeartbeats * heartbeatMs;
  if (!known || !told || clusterTime(state) === null) {
    ask(state, to);
    return;
  }
  const settled = peer.toldMs > nowMs - pingHeartbeats * heartbeatMs;
  if (!settled && peer.toldNews !== newsFor(state, peer)) {
    tell(state, to);
    return;
  }
  const follows = followsPrimary(state) && to === state.primary;
  const quiet = follows ? 1 : pingHeartbeats - lifeHeartbeats;
  if (peer.sentMs > nowMs - quiet * heartbeatMs) return;
  // What the primary wants to know of a backup stands in every ack, which needs no answer.
  if (follows) ack(state, true);
  if (peer.sentMs < nowMs) tell(state, to);
}
