import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import { ownLife, ownMark } from "./lives.ts";
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
    // Durable: a peer throws its former key away by this word.
    replaced: durable.members.filter(({ replaceOp }) => replaceOp !== undefined),
    status: statusOf(state),
    learner: durable.recovering,
    voteFloor: durable.voteFloor,
    checkpointOp: durable.checkpoint.op,
    checkpointId: durable.checkpoint.id,
  });
}

/** What is known of a peer. */
export function peerOf(state: State, replica: ReplicaIndex): Peer {
  const peer = state.peers[replica];
  assert(peer !== undefined, "VSR-03: peer");
  return peer;
}

/** All that changes of what a ping tells, but for what an ack or a COMMIT tells earlier. */
export function newsFor(state: State, peer: Peer): string {
  const { sequence, logView, op } = ownMark(state);
  const { recovering, voteFloor, checkpoint, members: known } = state.superblock.durable;
  const { life, nonce, verdict } = peer.judged;
  const volume = `${sequence} ${logView} ${op} ${checkpoint.op} ${recovering} ${voteFloor}`;
  const members = known.map(({ replaceOp }) => replaceOp ?? 0).join(" ");
  return `${volume} ${statusOf(state)} ${members} ${life} ${nonce} ${verdict}`;
}
