import { viewFrom } from "#replica/base/brands.ts";
import { mutated } from "#replica/base/mutation.ts";
import { noteCheckpoint } from "./agreement.ts";
import { learnQuorumCheckpoint } from "./checkpoint.ts";
import { startLeading } from "./leading.ts";
import { beginLife } from "./lives.ts";
import { fenceSelf, refreshMembers } from "./membership.ts";
import { primaryOf } from "./quorum.ts";
import { wantRepair } from "./repair.ts";
import { persist } from "./superblock.ts";
import type { State } from "./state.ts";
import { armSuspicion } from "./suspicion.ts";
import { askView } from "./timers.ts";
import { enterView, resendMs, sendVote, voteOfSuperblock } from "./view-change.ts";
import { noteDecayed } from "./writes.ts";

declare const MUTATIONS: boolean | undefined;

/**
 * The first step after the disk was read (rule A2, restart): the head is uncertain; or a
 * view change goes on with the stored vote; or a former primary moves to the next view (it never
 * resumes); or this replica is a backup of the view that it was in.
 */
export function open(state: State): void {
  state.opened = true;
  state.superblock.writtenMs = state.nowMs;
  refreshMembers(state);
  noteCheckpoint(state, state.replica, state.checkpoint.op, state.checkpoint.id);
  if (state.formed) beginLife(state);
  openLog(state);
  fenceSelf(state);
  // A life is told of only when it is durable, so nothing is said to peers before.
  if (state.formed && state.superblock.writing === null) persist(state);
}

function openLog(state: State): void {
  state.deadlines.set("ping", state.nowMs);
  state.opSeen = state.log.head;
  // An overwritten slot proves what a quorum had durable (rule A7).
  learnQuorumCheckpoint(state, state.log.quorumCheckpointOp());
  const header = state.log.headHeader();
  const sure = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("trust_any_head");
  if (sure) state.log.headCertain = true;
  if (!state.log.headCertain) {
    state.status = "recovering_head";
    state.nonce = 1 + state.prng.below(2 ** 32 - 1);
    state.deadlines.set("resend", state.nowMs + resendMs(state));
    askView(state);
    return;
  }
  noteDecayed(state);
  if (state.logView < state.view) {
    continueViewChange(state);
    return;
  }
  if (header.commitMax > state.commitMax) state.commitMax = header.commitMax;
  state.status = "normal";
  wantRepair(state);
  if (primaryOf(state.view) !== state.replica) {
    armSuspicion(state);
    return;
  }
  const resume = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("resume_as_primary");
  // Genesis: nothing was ever sent.
  if (!state.formed) {
    startLeading(state, []);
    return;
  }
  if (resume) {
    // The bug: leads the same view again, though what it sent and lost may be acked elsewhere.
    state.status = "view_change";
    state.change.selected = true;
    return;
  }
  if (!state.superblock.durable.recovering) enterView(state, viewFrom(state.view + 1));
}

function continueViewChange(state: State): void {
  state.status = "view_change";
  state.change.vote = voteOfSuperblock(state);
  const { viewChangeMs } = state.options.timing;
  state.deadlines.set("viewChange", state.nowMs + viewChangeMs * (1 + state.prng.fraction()));
  state.deadlines.set("resend", state.nowMs + resendMs(state));
  sendVote(state);
}

/**
 * Three replicas report the same formation id: recorded, and only then anyone votes (A11). A peer
 * that formed has that on record: who hears it forms too, so that the loss of the third meanwhile
 * leaves two that can replace it.
 */
export function considerFormation(state: State): void {
  if (state.formed || state.superblock.writing !== null) return;
  const peers = state.peers.filter((_, i) => i !== state.replica);
  const recorded = peers.some((peer) => peer.formation === "same" && peer.formed);
  if (!recorded && !peers.every((peer) => peer.formation === "same")) return;
  beginLife(state);
  persist(state);
}
