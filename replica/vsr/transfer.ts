import type { ReplicaIndex } from "#replica/base/brands.ts";
import { sendCommit } from "./normal.ts";
import { nextViewOf } from "./quorum.ts";
import { send } from "./send.ts";
import type { State } from "./state.ts";
import { enterView } from "./view-change.ts";

/** Time that the target has to catch up, ms (rule A8). */
const catchUpMs = 50;
/** Time between two looks at the target, ms. */
const lookMs = 2;

/** Begins a planned transfer: no request is admitted until it ends. Ignored unless this leads. */
export function onTransfer(state: State, target: ReplicaIndex): void {
  if (!state.leads || target === state.replica || state.transfer !== null) return;
  state.transfer = { target, untilMs: state.nowMs + catchUpMs };
  state.deadlines.set("transfer", state.nowMs);
}

/** Hands over when the target has executed everything, or gives up when it is not even heard. */
export function continueTransfer(state: State): void {
  const { transfer } = state;
  if (transfer === null || !state.leads) return;
  const peer = state.peers[transfer.target];
  const ready = peer !== undefined && peer.commitMin >= state.log.head;
  const late = state.nowMs >= transfer.untilMs;
  const heard = (peer?.heardMs ?? -Infinity) > state.nowMs - state.options.timing.suspectMs;
  if (late && !heard) {
    state.transfer = null;
    return;
  }
  if ((ready && state.pipeline.count === 0) || late) {
    enterView(state, nextViewOf(state.view, transfer.target));
    return;
  }
  state.deadlines.set("transfer", state.nowMs + lookMs);
  if (!state.voting || !state.logDurable) return;
  sendCommit(state);
  ping(state, transfer.target);
}

/** Asks a peer for a sign of life, its formation and how far it is. */
export function ping(state: State, to: ReplicaIndex): void {
  send(state, to, {
    kind: "ping",
    monotonicMs: Math.floor(state.nowMs),
    wallClockUs: state.wallUs,
    formationId: state.superblock.durable.identity.formationId,
    machineVersionMax: state.options.machine.version,
    commitMin: state.commitMin,
  });
}
