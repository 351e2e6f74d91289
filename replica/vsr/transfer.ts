import { type ReplicaIndex, type View, viewFrom } from "#replica/base/brands.ts";
import { sendCommit } from "./normal.ts";
import { ask } from "./tell.ts";
import { nextViewOf } from "./quorum.ts";
import type { State } from "./state.ts";
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
  if (!itself) ask(state, transfer.target);
}
