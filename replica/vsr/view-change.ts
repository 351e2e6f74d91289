import { assert } from "#replica/base/assert.ts";
import { opFrom, viewFrom } from "#replica/base/brands.ts";
import type { Op, ReplicaIndex, View } from "#replica/base/brands.ts";
import { pipelineMax, replicasCount } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { watchConditions } from "./alarms.ts";
import { learnQuorumCheckpoint } from "./checkpoint.ts";
import { memberOf } from "./membership.ts";
import { nextViewOf, primaryOf } from "./quorum.ts";
import { rejectWaiting } from "./requests.ts";
import { committedFloor, type Selection, selectLog, type Vote } from "./selection.ts";
import { broadcast, send } from "./send.ts";
import type { DoViewChange, OwnVote, State } from "./state.ts";
import { onHigherView } from "./suspicion.ts";
import { offeredCheckpoint, persist } from "./superblock.ts";

declare const MUTATIONS: boolean | undefined;

/** Wait between two sendings of the same vote or suspicion, ms (rule A4: 30 at heartbeat 20). */
export function resendMs(state: State): number {
  return state.options.timing.heartbeatMs * (1.25 + 0.5 * state.prng.fraction());
}

// ---- Suspicion: START_VIEW_CHANGE (VRR 4.2 step 1; rule A5) ----

/** Tells everyone that this replica wants to leave the view; its own voice counts (A5a 6). */
export function suspect(state: State): void {
  state.deadlines.set("resend", state.nowMs + resendMs(state));
  if (!state.voting || state.superblock.durableView < state.view) return;
  if (state.status === "recovering_head") return;
  state.change.suspectedMs[state.replica] = state.nowMs;
  broadcast(state, { kind: "start_view_change" });
  countSuspicions(state);
}

function countSuspicions(state: State): void {
  const windowMs = 2 * state.options.timing.suspectMs;
  const fresh = state.change.suspectedMs.filter((ms) => ms > state.nowMs - windowMs);
  if (fresh.length < state.options.quorum.viewChange) return;
  enterView(state, viewFrom(state.view + 1));
}

/** A peer wants to leave its view. */
export function onStartViewChange(state: State, from: ReplicaIndex, view: View): void {
  if (view > state.view) {
    joinView(state, view);
    return;
  }
  if (view < state.view || state.status === "recovering_head" || !state.voting) return;
  state.change.suspectedMs[from] = state.nowMs;
  countSuspicions(state);
}

/**
 * A peer is in a higher view: this replica goes there, with its vote if it may vote. `save`: at
 * once; otherwise the caller does.
 */
export function joinView(state: State, view: View, save = true): void {
  assert(view > state.view, "VSR-14: views never go back");
  const { recovering, voteFloor } = state.superblock.durable;
  const mayVote = state.formed && !recovering && view >= voteFloor;
  const bold = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("vote_while_recovering");
  if ((state.status === "recovering_head" && !bold) || !mayVote) {
    onHigherView(state, view);
    return;
  }
  enterView(state, view, save);
}

// ---- Entering a view: DO_VIEW_CHANGE (VRR 4.2 step 2) ----

/** The vote of the log in memory: from the head down to the first op that is committed. */
function voteOfLog(state: State): OwnVote {
  const { log, commitMax, logView } = state;
  const lowest = Math.min(log.head, commitMax);
  const headers: (PrepareHeader | null)[] = [];
  for (let op: number = log.head; op >= lowest; op -= 1) headers.push(log.header(op));
  assert(headers[0] !== null, "VSR-05: the head's header is known");
  assert(headers.length <= pipelineMax + 1, "VSR-24: at most a pipeline is uncommitted");
  return { logView, op: log.head, commitMax, headers };
}

/** The vote that the superblock holds, after a restart in the middle of a view change (A5a 2). */
export function voteOfSuperblock(state: State): OwnVote {
  const { viewHeaders, commitMax, logView } = state.superblock.durable;
  const head = viewHeaders[0];
  assert(head !== undefined, "VSR-13: a stored vote has a head");
  const headers: (PrepareHeader | null)[] = [];
  for (let op: number = head.op; op >= Math.min(head.op, commitMax); op -= 1) {
    headers.push(viewHeaders.find((header) => header.op === op) ?? null);
  }
  return { logView, op: head.op, commitMax, headers };
}

/** Leaves the current view for a higher one: stops acking, persists the vote, then sends it. */
export function enterView(state: State, view: View, save = true): void {
  assert(view > state.view, "VSR-14: views never go back");
  assert(state.status !== "recovering_head", "VSR-45: an uncertain head does not vote");
  const { change, deadlines } = state;
  const keep = state.status === "view_change" && change.vote !== null && !change.selected;
  const vote = keep && change.vote !== null ? change.vote : voteOfLog(state);
  leaveNormal(state);
  state.status = "view_change";
  state.view = view;
  change.vote = vote;
  resetVotes(state);
  state.viewHeaders = vote.headers.filter((header) => header !== null);
  const { viewChangeMs } = state.options.timing;
  const backoff = 2 ** Math.min(change.attempts, 5) * (1 + 0.3 * state.prng.fraction());
  change.attempts += 1;
  deadlines.set("viewChange", state.nowMs + viewChangeMs * backoff);
  deadlines.set("resend", state.nowMs + resendMs(state));
  deadlines.clear("suspect");
  state.emit({ kind: "status" });
  state.change.unsaved = !save;
  if (save) persist(state);
}

function leaveNormal(state: State): void {
  const { deadlines } = state;
  rejectWaiting(state, state.pipeline.clear());
  state.transfer = null;
  state.replacing = null;
  state.upgrading = null;
  state.registering.clear();
  state.suffixReads.clear();
  for (const name of ["heartbeat", "prepare", "batch", "transfer"] as const) deadlines.clear(name);
}

function resetVotes(state: State): void {
  const { change } = state;
  change.votes.clear();
  change.selected = false;
  change.stuck = null;
  change.expired = false;
  change.unsaved = false;
  change.suspectedMs.fill(-Infinity);
  state.heartbeatSeenMs = -Infinity;
  state.ackedOp = 0;
  state.heldOp = 0;
}

function bits(state: State, vote: OwnVote): { present: boolean[]; nack: boolean[] } {
  const present: boolean[] = [];
  const nack: boolean[] = [];
  const nackFaulty = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("nack_faulty");
  for (const [i, header] of vote.headers.entries()) {
    const op = vote.op - i;
    const slot = state.log.slot(op);
    const here = header !== null && !slot.faulty && slot.disk?.checksum === header.checksum;
    present.push(here);
    // Never nack what may have been acked: a faulty slot has neither bit, nor has an executed op,
    // whose slot is nobody's concern once the checkpoint has it, so that no fault is noted there.
    const deniable = op > state.commitMin && !slot.faulty;
    nack.push(!here && (deniable || nackFaulty));
  }
  return { present, nack };
}

/** Sends the vote, once it is durable, to everyone; the new primary also counts its own. */
export function sendVote(state: State): void {
  const { vote, selected } = state.change;
  if (state.status !== "view_change" || vote === null || selected || !state.voting) return;
  const early = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("vote_before_durable");
  if (state.superblock.durableView < state.view && !early) return;
  broadcast(state, {
    kind: "do_view_change",
    logView: vote.logView,
    op: vote.op,
    commitMin: state.commitMin,
    commitMax: vote.commitMax,
    checkpoint: state.checkpoint,
    quorumCheckpointOp: state.quorumCheckpointOp,
    headers: vote.headers,
    ...bits(state, vote),
  });
  trySelect(state);
}

// ---- New primary: choosing the log (VRR 4.2 step 3; rule A5) ----

/** A peer's vote: joins its view, counts it, or answers it with the log of a view that runs. */
export function onDoViewChange(state: State, message: DoViewChange): void {
  learnQuorumCheckpoint(state, message.quorumCheckpointOp);
  // The vote may be all that the new primary waits for: then view and log are one write.
  const leads = primaryOf(message.view) === state.replica;
  if (message.view > state.view) joinView(state, message.view, !leads);
  takeVote(state, message);
  if (!state.change.unsaved) return;
  state.change.unsaved = false;
  persist(state);
}

function takeVote(state: State, message: DoViewChange): void {
  if (message.view !== state.view || state.primary !== state.replica) return;
  if (state.status === "normal") {
    sendStartView(state, message.from, 0);
    return;
  }
  if (state.status !== "view_change" || state.change.selected) return;
  const before = state.change.votes.get(message.from);
  if (before !== undefined) {
    const same = before.op === message.op && before.logView === message.logView;
    assert(same && before.headers.length === message.headers.length, "VSR-25: one vote a view");
    for (const [i, header] of before.headers.entries()) {
      assert(header?.checksum === message.headers[i]?.checksum, "VSR-25: one vote a view");
    }
  }
  state.change.votes.set(message.from, message);
  trySelect(state);
}

function ownVote(state: State, vote: OwnVote): Vote {
  const { replica, commitMin } = state;
  return { ...vote, replica, commitMin, ...bits(state, vote) };
}

function trySelect(state: State): void {
  const { vote, votes, selected } = state.change;
  if (state.status !== "view_change" || vote === null || selected || !state.voting) return;
  // One's own vote comes from memory, but counts only when it is durable (A5a 15); or when it will
  // be with the very write that makes the log durable, before which nobody hears of either.
  if (state.primary !== state.replica) return;
  if (state.superblock.durableView < state.view && !state.change.unsaved) return;
  const all: Vote[] = [ownVote(state, vote)];
  for (const [replica, message] of votes) {
    const member = memberOf(state, replica);
    assert(member?.incarnation === message.incarnation, "VSR-47: votes of present members");
    // With a peer that does not vouch for this volume it makes no quorum (rule A11).
    if (state.peers[replica]?.vouches === true) all.push({ ...message, replica });
  }
  if (all.length < state.options.quorum.viewChange) return;
  if (forfeit(state)) return;
  const chosen = selectLog(all);
  const selection = withCommitted(state, chosen, all);
  if (selection.kind === "selected") {
    install(state, selection.headers, all);
    return;
  }
  // The third vote may still come; when it does not, a person must know what is missing.
  if (selection.kind === "wait" && !state.change.expired) return;
  const what = `view ${state.view}: op ${selection.op} can be neither kept nor dropped:`;
  const why =
    selection.kind === "wait" ? "it needs the third replica's vote" : "no intact copy left";
  state.change.stuck = `${what} ${why}`;
  watchConditions(state);
}

/** Highest op that the voters know to be committed. */
function committedByVotes(state: State, votes: readonly Vote[]): number {
  let committed: number = Math.max(state.commitMax, committedFloor(votes));
  for (const message of state.change.votes.values()) {
    committed = Math.max(committed, message.commitMax);
  }
  return committed;
}

/** A log without an op that is known to be committed is no choice: a volume lost it. */
function withCommitted(state: State, chosen: Selection, votes: readonly Vote[]): Selection {
  if (chosen.kind !== "selected") return chosen;
  const committed = committedByVotes(state, votes);
  if (committed <= (chosen.headers[0]?.op ?? 0)) return chosen;
  return { kind: votes.length < replicasCount ? "wait" : "stuck", op: opFrom(committed) };
}

/** A voter has a newer quorum-durable checkpoint than this replica: it shall lead. */
function forfeit(state: State): boolean {
  const needed = state.quorumCheckpointOp;
  if (needed <= state.commitMin) return false;
  for (const [replica, message] of state.change.votes) {
    if (message.checkpoint.op < needed) continue;
    enterView(state, nextViewOf(state.view, replica));
    return true;
  }
  return false;
}

function install(state: State, headers: readonly PrepareHeader[], votes: readonly Vote[]): void {
  const head = headers[0];
  assert(head !== undefined, "VSR-09: a selection has a head");
  assert(headers.length <= pipelineMax + 1, "VSR-24: at most a pipeline is uncommitted");
  const committed = committedByVotes(state, votes);
  for (const vote of votes) {
    const timestampUs = vote.headers[0]?.timestampUs ?? 0;
    state.timestampFloorUs = Math.max(state.timestampFloorUs, timestampUs);
  }
  assert(committed <= head.op, "VSR-26: a new log holds every committed op");
  state.log.install(headers);
  state.change.selected = true;
  state.change.unsaved = false;
  state.logView = state.view;
  state.commitMax = committed as Op;
  state.viewHeaders = headers;
  state.opSeen = Math.max(state.opSeen, head.op);
  state.beginRepair();
  state.writesBlocked = true;
  persist(state);
}

// ---- The new view starts: START_VIEW (VRR 4.2 steps 4 and 5) ----

/** Headers of the current log, from its head down to what is committed. */
function startViewHeaders(state: State): PrepareHeader[] {
  const headers = [state.log.headHeader()];
  for (let op = state.log.head - 1; op >= state.commitMax; op -= 1) {
    const header = state.log.header(op);
    if (header === null) break;
    headers.push(header);
  }
  assert(headers.length <= pipelineMax + 1, "VSR-24: at most a pipeline is uncommitted");
  return headers;
}

/** Sends the log of the view that this replica leads; `nonce` of the GET_VIEW, or 0. */
export function sendStartView(state: State, to: ReplicaIndex, nonce: number): void {
  if (!state.leads || !state.logDurable || !state.voting) return;
  send(state, to, {
    kind: "start_view",
    op: state.log.head,
    commitMax: state.commitMax,
    checkpoint: offeredCheckpoint(state),
    quorumCheckpointOp: state.quorumCheckpointOp,
    headers: startViewHeaders(state),
    nonce,
  });
}

function mayInstall(state: State, message: StartView): boolean {
  if (message.view < state.view) return false;
  if (message.view > state.logView) return true;
  const again = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("install_twice");
  if (again && message.view === state.view && state.status === "normal") return true;
  // Within a view nothing truncates (A5a 1), but an uncertain head may be learned.
  if (state.status !== "recovering_head") return false;
  return message.view === state.view && message.nonce !== 0 && message.nonce === state.nonce;
}

type StartView = Extract<PeerMessage, { kind: "start_view" }>;

/** Installs the log of a view that has started; true when it did (A5a 1 and 10). */
export function onStartView(state: State, message: StartView): boolean {
  if (message.from !== message.view % 3 || message.from === state.replica) return false;
  if (!mayInstall(state, message)) return false;
  const sure = state.status !== "recovering_head";
  assert(!sure || message.op >= state.commitMax, "VSR-26: a new log holds what is committed");
  leaveNormal(state);
  resetVotes(state);
  state.status = "normal";
  state.view = message.view;
  state.logView = message.view;
  state.change.vote = null;
  state.log.install(message.headers);
  state.log.headCertain = true;
  state.nonce = 0;
  state.commitMax = Math.max(state.commitMax, message.commitMax) as Op;
  learnQuorumCheckpoint(state, message.quorumCheckpointOp);
  state.checkpointSeen = message.checkpoint;
  state.opSeen = Math.max(state.opSeen, message.op);
  state.viewHeaders = message.headers;
  state.beginRepair();
  state.writesBlocked = true;
  state.deadlines.clear("viewChange");
  state.deadlines.clear("resend");
  state.emit({ kind: "status" });
  persist(state);
  return true;
}
