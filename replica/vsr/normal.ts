import { assert } from "#replica/base/assert.ts";
import { opFrom, timestampFrom } from "#replica/base/brands.ts";
import type { Op, ReplicaIndex } from "#replica/base/brands.ts";
import { pipelineMax } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";
import { commitHeartbeats } from "#replica/base/timing.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare, PrepareKind } from "#replica/wire/prepare.ts";
import { encodeReplacement } from "#replica/wire/replacement.ts";
import { encodeRequests } from "#replica/wire/request.ts";
import { noteCheckpoint } from "./agreement.ts";
import { learnQuorumCheckpoint, updateQuorumCheckpoint } from "./checkpoint.ts";
import { clusterTime } from "./clock-keeping.ts";
import { makesMember } from "./log.ts";
import { ownKey } from "./rekey.ts";
import { fillTo, memberOf, refreshMembers } from "./membership.ts";
import { busyBatchBytes } from "./options.ts";
import { primaryOf } from "./quorum.ts";
import { acceptBody, wantRepair } from "./repair.ts";
import { rejectUntimed } from "./requests.ts";
import { broadcast, send, viewDurable } from "./send.ts";
import { rememberAck } from "./standing.ts";
import type { State } from "./state.ts";
import { cancelSuspicion, hearsNobody, onHigherView } from "./suspicion.ts";
import { offeredCheckpoint } from "./superblock.ts";
import { upgradeTurn } from "./upgrade.ts";
import { canWrite, flushWrites, keepBody } from "./writes.ts";

declare const MUTATIONS: boolean | undefined;

type PrepareOk = Extract<PeerMessage, { kind: "prepare_ok" }>;
type Commit = Extract<PeerMessage, { kind: "commit" }>;

// ---- Primary: batches (VRR 4.1 step 2; rule A3) ----

/** Makes prepares of what waits, when their time has come. */
export function flushBatches(state: State): void {
  const { batch } = state.options;
  const depthMax = batch.depth ?? 2;
  while (state.leads && state.voting && state.logDurable) {
    const depth = state.pipeline.count;
    const control = controlOf(state);
    if (control === "hold") return;
    if (control === null && state.pipeline.waiting === 0) return;
    // The ring is full until a quorum's checkpoint moves on.
    if (depth >= pipelineMax || !canWrite(state, state.log.head + 1)) return;
    if (control !== null) {
      makePrepare(state, control);
      continue;
    }
    // Without the cluster's time nothing gets one: a clock set wrong would bend it for ever (A10).
    if (clusterTime(state) === null) {
      rejectUntimed(state);
      return;
    }
    const gapMs = state.batchBytes >= busyBatchBytes ? (batch.gapMs ?? 0) : 0;
    const pauseMs = depth === 0 ? gapMs : batch.lingerMs;
    const due = state.nowMs >= state.batchMs + pauseMs;
    if (!state.pipeline.batchFull && !(due && depth < depthMax)) {
      if (depth < depthMax) state.deadlines.set("batch", state.batchMs + pauseMs);
      return;
    }
    state.batchMs = state.nowMs;
    const requests = state.pipeline.takeBatch();
    const requestsCount = requests.length;
    makePrepare(state, { kind: "requests", requestsCount, body: encodeRequests(requests) });
  }
}

/** What a prepare is made of, beside what the log decides. */
interface Content {
  readonly kind: PrepareKind;
  readonly requestsCount: number;
  readonly body: Uint8Array;
}

const noop: Content = { kind: "noop", requestsCount: 0, body: new Uint8Array(0) };

/** What rules A11 and A12 want next: REPLACE, REKEY, UPGRADE, a no-op, no prepare; or nothing. */
function controlOf(state: State): Content | "hold" | null {
  const turn = upgradeTurn(state);
  if (turn === "hold") return turn;
  if (turn === "noop") return noop;
  if (turn !== "free") return { ...noop, kind: "upgrade", requestsCount: turn.version };
  const member = state.replacing;
  if (member !== null) {
    const requestsCount = member.replica;
    const same = memberOf(state, member.replica)?.incarnation === member.incarnation;
    const kind = same ? "rekey" : "replace";
    return { kind, requestsCount, body: encodeReplacement(member) };
  }
  if (state.log.head >= fillTo(state)) return null;
  const few = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("skip_noops");
  return few ? null : noop;
}

function makePrepare(state: State, content: Content): void {
  const { kind, requestsCount, body } = content;
  const before = state.log.headHeader();
  const earliest = Math.max(before.timestampUs, state.timestampFloorUs) + 1;
  const fields = {
    kind,
    op: opFrom(before.op + 1),
    view: state.view,
    author: state.replica,
    incarnation: state.superblock.durable.identity.incarnation,
    parent: before.checksum,
    timestampUs: timestampFrom(Math.max(earliest, clusterTime(state) ?? 0)),
    commitMax: state.commitMax,
    quorumCheckpointOp: state.quorumCheckpointOp,
    checkpointId: state.checkpoint.id,
    machineVersion: state.options.machine.version,
    requestsCount,
  } as const;
  assert(kind !== "requests" || clusterTime(state) !== null, "VSR-93: requests get a time");
  const prepare = state.options.sealer.seal(fields, body, ownKey(state));
  state.batchBytes = prepare.body.length;
  state.log.advance(prepare.header);
  state.pipeline.push(prepare, state.nowMs);
  broadcast(state, { kind: "prepare", prepare });
  postponeHeartbeat(state);
  keepBody(state, prepare);
  if (makesMember(prepare.header)) {
    state.replacing = null;
    refreshMembers(state);
  }
  if (kind === "upgrade") state.upgrading = null;
  armPrepareTimer(state);
}

/** Makes a no-op when nothing is under way; ignored unless this replica leads. */
export function onPulse(state: State): void {
  if (!state.leads || !state.voting || !state.logDurable || state.transfer !== null) return;
  if (state.pipeline.count > 0 || state.pipeline.waiting > 0) return;
  if (clusterTime(state) === null) return;
  if (!canWrite(state, state.log.head + 1) || upgradeTurn(state) !== "free") return;
  makePrepare(state, noop);
}

function armPrepareTimer(state: State): void {
  const { heartbeatMs } = state.options.timing;
  if (state.deadlines.running("prepare")) return;
  const waitMs = heartbeatMs * (1.5 + state.prng.fraction());
  state.deadlines.set("prepare", state.nowMs + waitMs);
}

/** Sends again what a peer has not acked for a while; the timer is randomised. */
export function resendPrepares(state: State): void {
  if (!state.leads) return;
  const { heartbeatMs } = state.options.timing;
  for (const entry of state.pipeline.entries) {
    if (state.nowMs - entry.sentMs < heartbeatMs) continue;
    entry.sentMs = state.nowMs;
    for (const [i] of state.peers.entries()) {
      const peer = i as ReplicaIndex;
      if (peer === state.replica || entry.acks.has(peer)) continue;
      send(state, peer, { kind: "prepare", prepare: entry.prepare });
    }
  }
  if (state.pipeline.count > 0) armPrepareTimer(state);
}

// ---- Primary: acks and commit (VRR 4.1 step 5; rule A3) ----

/** This primary's own durable prefix counts as its ack (A5a 12). */
export function ackOwn(state: State): void {
  let op = 0;
  for (const entry of state.pipeline.entries) {
    if (!state.log.present(entry.prepare.header.op)) break;
    op = entry.prepare.header.op;
  }
  if (op === 0) return;
  state.heldOp = op;
  state.pipeline.ack(state.replica, opFrom(op));
  advanceCommit(state);
}

/** Takes a backup's cumulative ack: exact checksum, this view only. */
export function onPrepareOk(state: State, message: PrepareOk): void {
  const peer = state.peers[message.from];
  assert(peer !== undefined, "VSR-03: peer");
  if (message.commitMin > peer.commitMin) {
    peer.commitMin = message.commitMin;
    state.nudgeTransfer();
  }
  if (message.checkpointOp > peer.checkpointOp) {
    peer.checkpointOp = message.checkpointOp;
    updateQuorumCheckpoint(state);
    flushWrites(state);
  }
  if (message.view > state.view) {
    onHigherView(state, message.view);
    return;
  }
  const countOld = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("count_old_view_ack");
  if (!state.leads || (message.view !== state.view && !countOld)) return;
  const entry = state.pipeline.get(message.op);
  if (entry === undefined || entry.prepare.header.checksum !== message.checksum) return;
  // Uncommitted here: the sender has it on its disk, or heard in an older view that it is
  // committed; then its superblock names the op, for it came with this view's log. Either way its
  // volume opens with this head or a later one, which is all that is remembered.
  rememberAck(state, message.from, { logView: message.view, op: message.op });
  state.pipeline.ack(message.from, message.op);
  advanceCommit(state);
}

/** Commits every prepare in order that a replication quorum holds. */
export function advanceCommit(state: State): void {
  assert(state.leads, "VSR-18: only the primary decides commits");
  for (;;) {
    const first = state.pipeline.first;
    const single = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("commit_single");
    const needed = single ? 1 : state.options.quorum.replication;
    if (first === undefined || first.acks.count < needed) break;
    const { op } = first.prepare.header;
    assert(op === state.commitMax + 1, "VSR-18: commits go in order");
    state.pipeline.shift();
    state.commitMax = op;
    state.change.attempts = 0;
    state.nudgeTransfer();
  }
}

// ---- Backup (VRR 4.1 steps 3, 4, 7; rule A3) ----

/** A prepare from the primary, or relayed as an answer to get_prepare: judged by content alone. */
export function onPrepare(state: State, from: ReplicaIndex, prepare: Prepare): void {
  const { header } = prepare;
  if (header.author !== primaryOf(header.view)) return;
  if (header.view > state.view) {
    onHigherView(state, header.view);
    return;
  }
  if (state.status === "recovering_head") return;
  const current = header.view === state.view;
  if (state.status === "view_change" && !state.change.selected) {
    if (current) onHigherView(state, header.view);
    return;
  }
  if (current && header.op > state.opSeen) state.opSeen = header.op;
  if (header.op > state.log.head) {
    // Nothing truncates within a view, so a prepare made in it belongs to its log.
    if (!current || state.leads || state.status !== "normal") return;
    const author = memberOf(state, header.author);
    if (author?.incarnation !== header.incarnation) return;
    // Below the op that gave it this key nobody vouches for its signature: by the chain only.
    if (header.op <= (author.replaceOp ?? 0)) return;
    if (!acceptHead(state, from, prepare)) return;
  }
  const known = state.log.header(header.op);
  if (known !== null && known.view === state.view && current) {
    assert(known.checksum === header.checksum, "VSR-19: one prepare an op and view");
  }
  if (acceptBody(state, prepare) === "present") ack(state, true);
}

function acceptHead(state: State, from: ReplicaIndex, prepare: Prepare): boolean {
  const { header } = prepare;
  if (from === state.primary) cancelSuspicion(state);
  learnQuorumCheckpoint(state, header.quorumCheckpointOp);
  const older = header.op - state.log.slotsCount;
  if (older > state.commitMin) {
    // Behind the ring: only a state sync can help; until one is sure, keep the headers we have.
    wantRepair(state);
    if (state.quorumCheckpointOp <= state.commitMin) return false;
  }
  if (header.op !== state.log.head + 1) wantRepair(state);
  state.log.advance(header);
  raiseCommit(state, header.commitMax);
  return older <= state.commitMin;
}

/** Acks the durable prefix over commitMax to the current primary; `again`: even if acked before. */
export function ack(state: State, again: boolean): void {
  if (state.status !== "normal" || state.leads || !state.voting || !state.logDurable) return;
  let op: number = state.commitMax;
  const early = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("ack_before_durable");
  if (state.log.chainLow <= op + 1) {
    while (op < state.log.head && (early || state.log.present(op + 1))) op += 1;
  }
  if (!again && op <= state.ackedOp) return;
  if (op > state.log.head) op = state.log.head;
  const header = state.log.header(op);
  if (header === null) return;
  state.ackedOp = op;
  if (state.log.present(op)) state.heldOp = op;
  send(state, state.primary, {
    kind: "prepare_ok",
    op: header.op,
    checksum: header.checksum,
    commitMin: state.commitMin,
    checkpointOp: state.superblock.durable.checkpoint.op,
  });
}

/** The primary's heartbeat. */
export function onCommit(state: State, message: Commit): void {
  if (message.view > state.view) {
    onHigherView(state, message.view);
    return;
  }
  if (message.view < state.view || message.from !== state.primary) return;
  if (state.status === "view_change") {
    onHigherView(state, message.view);
    return;
  }
  if (state.status !== "normal") return;
  if (message.monotonicMs > state.heartbeatSeenMs) {
    state.heartbeatSeenMs = message.monotonicMs;
    cancelSuspicion(state);
  }
  learnQuorumCheckpoint(state, message.quorumCheckpointOp);
  noteCheckpoint(state, message.from, message.checkpoint.op, message.checkpoint.id);
  state.checkpointSeen = message.checkpoint;
  if (message.commitMax > state.opSeen) state.opSeen = message.commitMax;
  learnCommit(state, message.commitMax, message);
  flushWrites(state);
  const own = state.superblock.durable.checkpoint.op;
  if (own > message.quorumCheckpointOp) ack(state, true);
}

/** A backup of a view that commits: view changes are tried at their first pace again (rule A4). */
function raiseCommit(state: State, commitMax: Op): void {
  if (commitMax <= state.commitMax) return;
  state.commitMax = commitMax;
  state.change.attempts = 0;
}

function learnCommit(state: State, commitMax: Op, message: Commit): void {
  raiseCommit(state, commitMax);
  if (commitMax > state.log.head) {
    // The tail was lost on the way; what is committed in this view is of this view's log.
    if (!viewDurable(state)) return;
    send(state, state.primary, {
      kind: "get_prepare",
      op: commitMax,
      checksum: message.commitChecksum,
    });
    return;
  }
  const header = state.log.header(commitMax);
  if (header === null || state.log.chainLow > commitMax) return;
  assert(header.checksum === message.commitChecksum, "VSR-66: one history");
}

/** The heartbeat of the primary, unless it seems to be cut off from both backups (rule A4). */
export function heartbeat(state: State): void {
  if (!state.leads) return;
  state.deadlines.set("heartbeat", state.nowMs + state.timing.heartbeatMs);
  if (!state.voting || !state.logDurable || hearsNobody(state)) return;
  sendCommit(state);
}

/**
 * A prepare went to both backups: it is a sign of life and tells of commits, so that the heartbeat
 * follows heartbeatMs after the last one. Not for long: COMMIT says more than a prepare.
 */
function postponeHeartbeat(state: State): void {
  const { heartbeatMs } = state.options.timing;
  const lastMs = state.committedMs + commitHeartbeats * heartbeatMs;
  const dueMs = Math.min(state.nowMs + heartbeatMs, lastMs);
  const beforeMs = state.deadlines.get("heartbeat");
  if (beforeMs !== Infinity && dueMs > beforeMs) state.deadlines.set("heartbeat", dueMs);
}

/** Tells the backups what is committed. */
export function sendCommit(state: State): void {
  state.committedMs = state.nowMs;
  const header = state.log.header(state.commitMax);
  assert(
    header !== null || state.commitMax === state.commitMin,
    "VSR-66: what is committed is known",
  );
  broadcast(state, {
    kind: "commit",
    commitMax: state.commitMax,
    commitChecksum: header?.checksum ?? state.commitChecksum,
    checkpoint: offeredCheckpoint(state),
    quorumCheckpointOp: state.quorumCheckpointOp,
    monotonicMs: Math.floor(state.nowMs),
  });
}
