import { watchConditions } from "./alarms.ts";
import { heartbeat, resendPrepares, sendCommit } from "./normal.ts";
import { considerVoting } from "./membership.ts";
import { pingPeers } from "./pings.ts";
import { othersOf } from "./quorum.ts";
import { repairRound } from "./repair.ts";
import { send } from "./send.ts";
import { keepMemories } from "./standing.ts";
import type { State } from "./state.ts";
import { considerStarved, syncTimeout } from "./sync.ts";
import type { TimerName } from "./timeouts.ts";
import { considerFloor, continueTransfer } from "./transfer.ts";
import { resendMs, sendVote, suspect } from "./view-change.ts";

/** Timers that may fire in one step at most; more of them wait for the next one. */
const firesMax = 32;

/** Fires what is due. */
export function fireTimers(state: State): void {
  for (let fires = 0; fires < firesMax; fires += 1) {
    const name = state.deadlines.due(state.nowMs);
    if (name === null) return;
    fire(state, name);
  }
}

function fire(state: State, name: TimerName): void {
  switch (name) {
    case "heartbeat":
      heartbeat(state);
      return;
    case "suspect":
      if (state.status === "normal" && !state.leads) suspect(state);
      return;
    case "resend":
      resend(state);
      return;
    case "viewChange":
      viewChangeTimeout(state);
      return;
    case "ping":
      pingAll(state);
      return;
    case "repair":
      repairRound(state);
      return;
    case "prepare":
      resendPrepares(state);
      return;
    case "batch":
      return; // Batches are looked at after every step.
    case "transfer":
      continueTransfer(state);
      return;
    case "sync":
      syncTimeout(state);
      return;
    default:
      name satisfies never;
  }
}

function viewChangeTimeout(state: State): void {
  state.change.expired = true;
  // One more look at the votes: what is missing is named before the next view is tried.
  sendVote(state);
  if (state.status === "view_change") suspect(state);
}

function resend(state: State): void {
  state.deadlines.set("resend", state.nowMs + resendMs(state));
  if (state.status === "recovering_head") {
    askView(state);
    return;
  }
  if (state.status === "normal") {
    if (!state.leads) suspect(state);
    return;
  }
  sendVote(state);
  // The vote may just have ended this view change.
  if (state.change.expired && state.status === "view_change") suspect(state);
}

/** In recovering_head: asks for a log that is newer than the request (rule B). */
export function askView(state: State): void {
  for (const peer of othersOf(state.replica)) {
    send(state, peer, { kind: "get_view", nonce: state.nonce });
  }
}

function pingAll(state: State): void {
  pingPeers(state);
  watchConditions(state);
  if (state.stopped) return;
  keepMemories(state);
  considerVoting(state);
  considerFloor(state);
  considerStarved(state);
  // While the cluster forms, no heartbeat runs yet.
  if (state.leads && state.voting && state.logDurable && !state.deadlines.running("heartbeat")) {
    sendCommit(state);
    heartbeat(state);
  }
}
