import type { View } from "#replica/base/brands.ts";
import { mutated } from "#replica/base/mutation.ts";
import { primaryOf } from "./quorum.ts";
import { send } from "./send.ts";
import type { State } from "./state.ts";

declare const MUTATIONS: boolean | undefined;

/** The primary lives: own suspicion ends, the detector starts anew (rule A4). */
export function cancelSuspicion(state: State): void {
  state.change.suspectedMs[state.replica] = -Infinity;
  state.deadlines.clear("resend");
  armSuspicion(state);
}

/** Starts the detector of a backup: silence of suspectMs plus up to 30 % jitter. */
export function armSuspicion(state: State): void {
  if (state.status !== "normal" || state.leads) return;
  const waitMs = state.options.timing.suspectMs * (1 + 0.3 * state.prng.fraction());
  state.deadlines.set("suspect", state.nowMs + waitMs);
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
