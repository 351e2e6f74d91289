import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex, View } from "#replica/base/brands.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { Timing } from "#replica/base/timing.ts";
import { primaryOf } from "./quorum.ts";
import { send } from "./send.ts";
import type { State } from "./state.ts";

declare const MUTATIONS: boolean | undefined;

/** Part of suspectMs by which the backups' patience differs, so that they do not act as one. */
const jitter = 0.3;
/** Times the longest gap of late that a backup waits: the next one may be longer. */
const gapFactor = 2;

/** How long a backup waits for a sign of life, by the longest gap of late; 0 <= `chance` < 1. */
export function patienceMs(timing: Timing, gapMs: number, chance: number): number {
  const { suspectMs, suspectMaxMs } = timing;
  const learnedMs = Math.min(Math.max(gapFactor * gapMs, suspectMs), suspectMaxMs);
  return learnedMs + jitter * suspectMs * chance;
}

/**
 * True when a peer's process was found gone and nothing came since but what may have been under way
 * then: that is no sign of life.
 */
export function isGone(state: State, replica: ReplicaIndex): boolean {
  const peer = state.peers[replica];
  assert(peer !== undefined, "VSR-03: peer");
  return peer.heardMs < peer.refusedMs + state.timing.heartbeatMs;
}

/** The primary lives: own suspicion ends, the detector starts anew (rule A4). */
export function cancelSuspicion(state: State): void {
  if (isGone(state, state.primary)) return;
  learnGap(state, state.primary);
  state.change.suspectedMs[state.replica] = -Infinity;
  state.deadlines.clear("resend");
  beginPatience(state);
}

/** The primary lives, at the least since its view began: the detector starts. */
export function beginPatience(state: State): void {
  const primary = state.peers[state.primary];
  assert(primary !== undefined, "VSR-03: peer");
  primary.ledMs = state.nowMs;
  armSuspicion(state);
}

/** Who led before says something: if so soon that patience may grow to it, it was only slow. */
export function noteReturn(state: State, from: ReplicaIndex): void {
  if (from === state.primary && state.status === "normal") return;
  learnGap(state, from);
  const peer = state.peers[from];
  if (peer !== undefined) peer.ledMs = -Infinity;
}

function learnGap(state: State, of: ReplicaIndex): void {
  const ledMs = state.peers[of]?.ledMs ?? -Infinity;
  if (ledMs !== -Infinity) state.gaps.learn(state.nowMs - ledMs, state.nowMs);
}

/** Starts the detector of a backup. */
export function armSuspicion(state: State): void {
  if (state.status !== "normal" || state.leads) return;
  const { suspectMs, suspectMaxMs } = state.timing;
  const waitMs = patienceMs(state.timing, state.gaps.longestMs(state.nowMs), state.prng.fraction());
  assert(waitMs >= suspectMs, "VSR-97: a primary has suspectMs");
  assert(waitMs <= suspectMaxMs + jitter * suspectMs, "VSR-97: and no more than suspectMaxMs");
  state.deadlines.set("suspect", state.nowMs + waitMs);
}

function heardMs(state: State): number {
  const times = state.peers.map((peer, i) => (i === state.replica ? -Infinity : peer.heardMs));
  return Math.max(...times);
}

/** A primary hears somebody: how long it had heard nobody tells how long that may take. */
export function learnVoice(state: State): void {
  const gapMs = state.nowMs - state.lateMs - heardMs(state);
  state.voices.learn(Math.max(0, gapMs), state.nowMs);
}

/**
 * True for a primary that has heard neither backup for longer than they let it wait of late: it
 * may be cut off from all that is sent to it (rule A4). What came while it did not run waits to be
 * read.
 */
export function hearsNobody(state: State): boolean {
  const patience = patienceMs(state.timing, state.voices.longestMs(state.nowMs), 0);
  return heardMs(state) < state.nowMs - state.lateMs - patience;
}

/**
 * This process woke late (pause, CPU throttle): it heard nobody for so long by its own fault, so
 * the detector's deadline moves by that, and no primary's gap becomes longer by it (rule A4).
 */
export function excuseLateness(state: State, wantedMs: number): void {
  const lateMs = Math.max(0, state.nowMs - wantedMs);
  state.lateMs = lateMs < state.timing.latenessMs ? 0 : lateMs;
  if (state.lateMs === 0) return;
  for (const peer of state.peers) peer.ledMs = Math.min(peer.ledMs + state.lateMs, state.nowMs);
  const suspectMs = state.deadlines.get("suspect");
  if (suspectMs === Infinity) return;
  state.deadlines.set("suspect", Math.max(suspectMs, wantedMs) + state.lateMs);
}

/** Someone works in a view that this replica is not in: asks that view's primary for its log. */
export function onHigherView(state: State, view: View): void {
  const primary = primaryOf(view);
  if ((typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("truncate_early")) {
    // The bug of VRR's state transfer: drops the uncommitted tail before it has a replacement.
    const last = state.log.header(state.commitMin);
    if (state.status === "normal" && !state.leads && last !== null) state.log.install([last]);
  }
  if (primary === state.replica || state.nowMs < state.getViewMs) return;
  state.getViewMs = state.nowMs + state.options.timing.heartbeatMs / 2;
  send(state, primary, { kind: "get_view", nonce: state.nonce });
}
