import { assert } from "#replica/base/assert.ts";
import type { Checksum, Op, ReplicaIndex } from "#replica/base/brands.ts";
import { opFrom } from "#replica/base/brands.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare, PrepareHeader } from "#replica/wire/prepare.ts";
import { othersOf } from "./quorum.ts";
import { send, viewDurable } from "./send.ts";
import type { State } from "./state.ts";
import { isGone } from "./suspicion.ts";
import { considerSync } from "./sync.ts";
import { canWrite, keepBody, markFaulty, startWrite } from "./writes.ts";

/** Headers of one answer at most. */
const headersMax = 32;
/** Bodies asked for in one round at most, and bodies read at once for peers. */
const bodiesMax = 8;
/** How often a peer is asked that will hardly answer while the other one will, from which round. */
const unlikelyChance = 1 / 8;
const unlikelyRound = 3;
/** Times that a decayed slot of before the checkpoint is asked for: both peers, some lost. */
const decayedTriesMax = 40;

/** True when this replica may repair: its log is the current view's (rule A6). */
function mayRepair(state: State): boolean {
  if (state.status === "normal") return state.logDurable;
  return state.status === "view_change" && state.change.selected && state.logDurable;
}

/**
 * Something may be missing: starts the randomised repair timer, as soon as repair is allowed. A new
 * primary asks at once: nobody else does, and the shard waits for it.
 */
export function wantRepair(state: State): void {
  state.repairPending = true;
  if (state.deadlines.running("repair") || !mayRepair(state)) return;
  const { heartbeatMs } = state.options.timing;
  const first = state.status === "normal" ? 0.1 + state.prng.fraction() / 2 : 0;
  state.deadlines.set("repair", state.nowMs + heartbeatMs * first);
}

/** True when a peer may well answer; the others are asked too, but seldom: they may be back. */
function likelyAnswers(state: State, peer: ReplicaIndex): boolean {
  if (isGone(state, peer)) return false;
  // Who voted for the view is there, and the log was chosen from what the voters hold.
  return state.status !== "view_change" || state.change.votes.has(peer);
}

function peerToAsk(state: State): ReplicaIndex {
  const [one, other] = othersOf(state.replica);
  assert(one !== undefined && other !== undefined, "VSR-03: two peers");
  const likely = likelyAnswers(state, one);
  if (likely === likelyAnswers(state, other)) return state.prng.chance(0.5) ? one : other;
  const late = state.repairRounds >= unlikelyRound && state.prng.chance(unlikelyChance);
  return likely === late ? other : one;
}

/** One round of repair: headers backwards by the hash chain, then bodies, oldest first. */
export function repairRound(state: State): void {
  state.deadlines.clear("repair");
  if (!state.repairPending) return;
  const { heartbeatMs } = state.options.timing;
  const waitMs = heartbeatMs * (0.5 + state.prng.fraction());
  // Not yet: it begins with the step that allows it.
  if (!mayRepair(state)) return;
  state.repairRounds += 1;
  countFruitless(state);
  considerSync(state);
  const missing = askHeaders(state);
  const decayed = askDecayed(state);
  const behind = state.opSeen - state.log.slotsCount > state.commitMin || state.starved;
  if (!askBodies(state) && !missing && !behind && !decayed) {
    state.repairPending = false;
    return;
  }
  state.deadlines.set("repair", state.nowMs + waitMs);
}

/**
 * Counts rounds in which neither the next op nor a header on the way to it came, though the primary
 * is there: peers may have overwritten it by an end of the log that a view dropped since.
 */
function countFruitless(state: State): void {
  const { commitMin, log, nowMs, peers, primary } = state;
  const before = state.fruitless;
  const moved = before.commitMin !== commitMin || before.chainLow !== log.chainLow;
  const next = log.header(commitMin + 1);
  const held = next !== null && (log.present(next.op) || log.slot(next.op).prepare !== null);
  const wanted = commitMin < state.commitMax && (commitMin + 1 < log.chainLow || !held);
  if (moved || !wanted) {
    state.fruitless = { rounds: 0, commitMin, chainLow: log.chainLow };
    return;
  }
  const heardMs = peers[primary]?.heardMs ?? -Infinity;
  if (heardMs > nowMs - state.options.timing.suspectMs) before.rounds += 1;
}

function askHeaders(state: State): boolean {
  const { log } = state;
  const lowest = Math.max(state.commitMin + 1, log.head - log.slotsCount + 1);
  if (log.chainLow <= lowest) return false;
  const opFirst = opFrom(Math.max(lowest, log.chainLow - headersMax));
  const opLast = opFrom(log.chainLow - 1);
  send(state, peerToAsk(state), { kind: "get_headers", opFirst, opLast });
  return true;
}

/** Asks for bodies that are missing, a bounded number at a time; true when any is missing. */
export function askBodies(state: State): boolean {
  const { log } = state;
  const lowest = Math.max(
    Math.min(state.commitMin, state.superblock.durable.checkpoint.op) + 1,
    log.head - log.slotsCount + 1,
    state.repairLow,
  );
  state.repairLow = lowest;
  const first = Math.max(lowest, log.chainLow);
  let asked = 0;
  let missing = false;
  state.missingOp = 0;
  for (let op = first; op <= log.head && asked < bodiesMax; op += 1) {
    const slot = log.slot(op);
    if (log.present(op) || slot.header === null) {
      if (!missing && first === lowest) state.repairLow = op;
      continue;
    }
    if (!missing && slot.prepare === null && canWrite(state, op)) state.missingOp = op;
    missing = true;
    if (slot.prepare !== null || !canWrite(state, op)) continue;
    asked += 1;
    const waitMs = state.nowMs - slot.askedMs;
    if (waitMs < state.timing.heartbeatMs && slot.askedMs >= state.logTakenMs) continue;
    slot.askedMs = state.nowMs;
    const checksum = slot.header.checksum;
    send(state, peerToAsk(state), { kind: "get_prepare", op: opFrom(op), checksum });
  }
  return missing;
}

/**
 * Asks for what decayed at or below the checkpoint and has it written again, as long as its place
 * in the ring is its own; true while there is such. Peers may have it no more: then it stays lost.
 */
function askDecayed(state: State): boolean {
  const { log } = state;
  let asked = 0;
  for (const [op, tries] of state.decayed) {
    const slot = log.slot(op);
    const own = slot.faulty && slot.header?.op === op;
    if (!own || tries >= decayedTriesMax) {
      if (own && op <= state.commitMin) slot.prepare = null;
      state.decayed.delete(op);
    } else if (slot.prepare !== null) {
      startWrite(state, op);
    } else if (asked < bodiesMax && slot.header !== null) {
      asked += 1;
      state.decayed.set(op, tries + 1);
      const { checksum } = slot.header;
      send(state, peerToAsk(state), { kind: "get_prepare", op: opFrom(op), checksum });
    }
  }
  return state.decayed.size > 0;
}

/** Takes a body whose header the log or its chain names; what happened to it. */
export function acceptBody(state: State, prepare: Prepare): "taken" | "present" | "refused" {
  const { header } = prepare;
  const { log } = state;
  if (!mayKeep(state) || header.op > log.head) return "refused";
  if (header.op <= log.head - log.slotsCount) return "refused";
  if (log.header(header.op)?.checksum !== header.checksum) {
    if (!log.extendChain(header)) return "refused";
  }
  if (log.present(header.op)) return "present";
  keepBody(state, prepare);
  if (state.repairPending && mayRepair(state)) askBodies(state);
  return "taken";
}

/** Bodies may be kept, even before log_view is durable: they are written after that. */
function mayKeep(state: State): boolean {
  if (state.status === "normal") return state.logView === state.view;
  return state.status === "view_change" && state.change.selected;
}

/**
 * Headers, asked for by a peer: whatever is known here, even with an uncertain head; the asker
 * takes only what its chain names. Silence when nothing is known.
 */
export function onGetHeaders(
  state: State,
  message: Extract<PeerMessage, { kind: "get_headers" }>,
): void {
  if (!viewDurable(state)) return;
  const { log } = state;
  const first = Math.max(message.opFirst, log.head - log.slotsCount + 1);
  const headers: PrepareHeader[] = [];
  for (let op = Math.min(message.opLast, log.head); op >= first; op -= 1) {
    const header = log.header(op);
    if (header !== null) headers.push(header);
    if (headers.length === headersMax) break;
  }
  if (headers.length > 0) send(state, message.from, { kind: "headers", headers });
}

/** Headers from a peer: accepted only by the hash chain. Progress asks for the next ones. */
export function onHeaders(state: State, message: Extract<PeerMessage, { kind: "headers" }>): void {
  if (!mayRepair(state)) return;
  let progress = false;
  for (const header of message.headers) {
    if (state.log.extendChain(header)) progress = true;
  }
  if (!progress) return;
  state.repairPending = true;
  repairRound(state);
}

/** A body, asked for by (op, checksum): from memory, from disk, or silence. */
export function onGetPrepare(state: State, from: ReplicaIndex, op: Op, checksum: Checksum): void {
  if (!viewDurable(state)) return;
  const slot = state.log.slot(op);
  if (slot.prepare !== null && slot.prepare.header.checksum === checksum) {
    send(state, from, { kind: "prepare", prepare: slot.prepare });
    return;
  }
  if (slot.disk === null || slot.disk.checksum !== checksum || slot.faulty) return;
  if (state.repairReads >= 2 * bodiesMax) return;
  state.repairReads += 1;
  state.emit({ kind: "read_prepare", op, checksum, purpose: { kind: "repair", peer: from } });
}

/** A body read for a peer. */
export function onRepairRead(
  state: State,
  peer: ReplicaIndex,
  op: Op,
  checksum: Checksum,
  prepare: Prepare | null,
): void {
  state.repairReads -= 1;
  if (prepare === null) markFaulty(state, op, checksum);
  else if (viewDurable(state)) send(state, peer, { kind: "prepare", prepare });
}
