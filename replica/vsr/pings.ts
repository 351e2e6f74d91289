import type { ReplicaIndex } from "#replica/base/brands.ts";
import { lifeHeartbeats, pingHeartbeats, tellHeartbeats } from "#replica/base/timing.ts";
import { clusterTime } from "./clock-keeping.ts";
import { ack } from "./normal.ts";
import { othersOf } from "./quorum.ts";
import type { State } from "./state.ts";
import { ask, newsFor, peerOf, tell } from "./tell.ts";

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
