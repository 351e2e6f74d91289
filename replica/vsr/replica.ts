import { assert } from "#replica/base/assert.ts";
import type { Op, ReplicaIndex, View } from "#replica/base/brands.ts";
import type { MachineVersions, PeerMessage, ReplicaStatus } from "#replica/wire/peer-message.ts";
import { noteCheckpoint } from "./agreement.ts";
import { raisedAlarms } from "./alarms.ts";
import { considerRelease, onCheckpointDurable, updateQuorumCheckpoint } from "./checkpoint.ts";
import type { Member } from "#replica/wire/superblock.ts";
import type { Effect } from "./effect.ts";
import type { Event } from "./event.ts";
import { learnClock, watchClock } from "./clock-keeping.ts";
import { execute, onBlocksLoaded, onCommitRead } from "./execute.ts";
import { assertInvariants } from "./invariants.ts";
import { onSuffixRead, tryLead } from "./leading.ts";
import {
  ack,
  ackOwn,
  flushBatches,
  onCommit,
  onPrepare,
  onPrepareOk,
  onPulse,
  sendCommit,
} from "./normal.ts";
import { considerFormation, open } from "./opening.ts";
import { checkOptions, type ReplicaOptions } from "./options.ts";
import { recoverLog } from "./recovery.ts";
import { answer } from "./tell.ts";
import { primaryOf } from "./quorum.ts";
import {
  adoptMembers,
  memberOf,
  onReplace,
  refreshMembers,
  replaceRefusal,
  replacementDone,
} from "./membership.ts";
import { noteOwnKey, onRekey, ownKeyTold, rekeyDone, rekeyRefusal } from "./rekey.ts";
import { onGetHeaders, onGetPrepare, onHeaders, onRepairRead, wantRepair } from "./repair.ts";
import { onRequest } from "./requests.ts";
import { judgePing, onVerdict, type Ping } from "./standing.ts";
import { State } from "./state.ts";
import { statusOf } from "./status.ts";
import { superblockDurable } from "./superblock.ts";
import { beginPatience, excuseLateness, learnVoice, noteReturn } from "./suspicion.ts";
import { onStarved, onSyncDone, onSyncFailed } from "./sync.ts";
import { fireTimers } from "./timers.ts";
import { onTransfer } from "./transfer.ts";
import { commonVersions, onUpgrade, upgradeRefusal } from "./upgrade.ts";
import {
  joinView,
  onDoViewChange,
  onStartView,
  onStartViewChange,
  sendStartView,
  sendVote,
  suspect,
} from "./view-change.ts";
import { flushWrites, markFaulty, onPrepareDurable } from "./writes.ts";

/** What a replica is doing. */
export type Status = ReplicaStatus;

/**
 * One replica of a shard: Viewstamped Replication as a pure, synchronous state machine
 * (VRR 2012). The host hands it events with the time and executes its effects in order.
 */
export class Replica {
  private readonly state: State;
  private wantedMs = Number.POSITIVE_INFINITY;

  /** The machine stands at the recovered checkpoint. Step a `timeout` at once: it opens the log. */
  constructor(options: ReplicaOptions) {
    checkOptions(options);
    this.state = new State(options, recoverLog(options.recovered));
    if (!this.state.log.headCertain) this.state.status = "recovering_head";
  }

  /** Monotonic time of the next wanted `timeout` event, ms; Infinity = never. Read after a step. */
  get deadlineMs(): number {
    return this.wantedMs;
  }

  /** What this replica is doing. */
  get status(): Status {
    return statusOf(this.state);
  }

  /** Current view, as durable: clients may be told of it. */
  get view(): View {
    return this.state.superblock.durableView;
  }

  /** Primary of that view: view mod 3. */
  get primary(): ReplicaIndex {
    return primaryOf(this.view);
  }

  /** Applied to the machine up to here. */
  get commitMin(): Op {
    return this.state.commitMin;
  }

  /** Known to be committed up to here; may lie over what this replica holds. */
  get commitMax(): Op {
    return this.state.commitMax;
  }

  /** Last op of the log. */
  get head(): Op {
    return this.state.log.head;
  }

  /** Op of the durable checkpoint. */
  get checkpointOp(): Op {
    return this.state.checkpoint.op;
  }

  /**
   * False for an ack that would change nothing here, of a sender that was heard within a heartbeat:
   * the transport may then drop it before it verifies the signature, which costs more than all
   * the rest of an ack. Of two backups' acks of a prepare only the first one commits it.
   */
  wantsAck(ack: Extract<PeerMessage, { kind: "prepare_ok" }>): boolean {
    const { state } = this;
    const peer = state.peers[ack.from];
    if (peer === undefined || ack.view > state.view || ack.checkpointOp > peer.checkpointOp) {
      return true;
    }
    if (peer.heardMs <= state.nowMs - state.timing.heartbeatMs) return true;
    return state.leads && ack.view === state.view && ack.op > state.commitMax;
  }

  /** False until formation, while recovering and below the vote floor (rule A11). */
  get voting(): boolean {
    const { state } = this;
    if (!state.voting || state.status === "recovering_head") return false;
    return state.peers.some((peer) => peer.vouches);
  }

  /**
   * Handles one event. `nowMs`: monotonic, may be fractional, never goes back. `wallUs`: wall clock
   * in microseconds, integer; the log's own time never goes back even when this does.
   */
  step(event: Event, nowMs: number, wallUs: number): void {
    const { state } = this;
    if (state.stopped) return;
    assert(nowMs >= state.nowMs || !state.opened, "VSR-90: time never goes back");
    state.nowMs = nowMs;
    state.wallUs = wallUs;
    watchClock(state);
    this.finish();
    if (state.stopped) return;
    if (!state.opened) open(state);
    excuseLateness(state, this.wantedMs);
    dispatch(state, event);
    if (!state.stopped) fireTimers(state);
    // A backup logs and acks a prepare before it runs the one before: the primary waits for acks.
    const ackFirst = state.status === "normal" && !state.leads && state.effects.length > 0;
    if (ackFirst) this.unfinished = true;
    else this.settle();
  }

  /** True when {@link finish} has work that may follow the effects of the last step. */
  unfinished = false;

  /**
   * Runs what the last step put off for the sake of its effects: call it, and drain again, when
   * those are under way. The next step begins with it otherwise.
   */
  finish(): void {
    if (!this.unfinished) return;
    this.unfinished = false;
    this.settle();
  }

  private settle(): void {
    const { state } = this;
    if (!state.stopped) settle(state);
    this.wantedMs = state.stopped ? Infinity : state.deadlines.nextMs;
  }

  /** What lasts and a person should know, one sentence each; empty in good times. */
  get alarms(): readonly string[] {
    return raisedAlarms(this.state);
  }

  /** Members by this replica's log. */
  get members(): readonly Member[] {
    return this.state.current.filter((member) => member !== null);
  }

  /** Why a replacement is refused here and now, as a sentence; null when the event will do it. */
  replaceRefusal(member: Omit<Member, "replaceOp">): string | null {
    return replaceRefusal(this.state, member);
  }

  /** Last op that a replaced volume must learn, once that is committed; null before. */
  replacementDone(incarnation: string): Op | null {
    return replacementDone(this.state, incarnation);
  }

  /** Members by what is executed here. */
  get committedMembers(): readonly Member[] {
    return this.state.members;
  }

  /** Why a member's next key is refused here and now; null when the event will do it. */
  rekeyRefusal(member: Omit<Member, "replaceOp">): string | null {
    return rekeyRefusal(this.state, member);
  }

  /** True once that is the member's key for ever, as far as this replica has executed. */
  rekeyDone(member: Omit<Member, "replaceOp">): boolean {
    return rekeyDone(this.state, member);
  }

  /** True when nobody will ask for a former key of this replica any more. */
  get ownKeyTold(): boolean {
    return ownKeyTold(this.state);
  }

  /** Version of the machine that applies the next op here (rule A12). */
  get machineVersion(): number {
    return this.state.options.machine.version;
  }

  /** Versions that all three replicas' builds can apply, as they said; null = not all did. */
  get versionsCommon(): MachineVersions | null {
    return commonVersions(this.state);
  }

  /** Why an upgrade is refused here and now, as a sentence; null when it will be done, or is. */
  upgradeRefusal(version: number): string | null {
    return upgradeRefusal(this.state, version);
  }

  /** Effects since the last drain, in the order in which they must be executed. */
  drain(): readonly Effect[] {
    const { effects } = this.state;
    this.state.releasing = 0;
    this.state.effects = [];
    return effects;
  }
}

/** What follows from any event: commits, a view that can start, batches. */
function settle(state: State): void {
  execute(state);
  tryLead(state);
  execute(state);
  refreshMembers(state);
  flushBatches(state);
  considerRelease(state);
  if (state.repairPending && !state.deadlines.running("repair")) wantRepair(state);
  assertInvariants(state);
}

function dispatch(state: State, event: Event): void {
  switch (event.kind) {
    case "timeout":
      return;
    case "message":
      onMessage(state, event.message);
      return;
    case "request":
      onRequest(state, event.request, event.viewKnown);
      return;
    case "prepare_durable":
      prepareDurable(state, event.op, event.checksum);
      return;
    case "prepare_read":
      prepareRead(state, event);
      return;
    case "superblock_durable":
      superblockWritten(state, event.sequence);
      return;
    case "blocks_loaded":
      onBlocksLoaded(state, event.op, event.blocks);
      return;
    case "checkpoint_durable":
      onCheckpointDurable(state, event.checkpoint);
      return;
    case "sync_done":
      onSyncDone(state, event.checkpoint, event.sessions);
      return;
    case "starved":
      onStarved(state, event.starved);
      return;
    case "sync_failed":
      onSyncFailed(state);
      return;
    case "transfer":
      onTransfer(state, event.target);
      return;
    case "replace":
      onReplace(state, event.member);
      return;
    case "rekey":
      onRekey(state, event.member);
      return;
    case "upgrade":
      onUpgrade(state, event.version);
      return;
    case "peer_refused":
      onPeerRefused(state, event.replica);
      return;
    case "pulse":
      onPulse(state);
      return;
    case "client_gone":
      return; // Sessions outlive connections.
    default:
      event satisfies never;
  }
}

function prepareDurable(state: State, op: Op, checksum: PrepareHeaderChecksum): void {
  const ours = onPrepareDurable(state, op, checksum);
  flushWrites(state);
  if (!ours) return;
  if (state.leads) ackOwn(state);
  else ack(state, false);
}

type PrepareHeaderChecksum = Extract<Event, { kind: "prepare_durable" }>["checksum"];

function prepareRead(state: State, event: Extract<Event, { kind: "prepare_read" }>): void {
  const { op, checksum, purpose, prepare } = event;
  switch (purpose.kind) {
    case "commit":
      onCommitRead(state, op, prepare);
      return;
    case "pipeline":
      onSuffixRead(state, op, prepare);
      return;
    case "repair":
      onRepairRead(state, purpose.peer, op, checksum, prepare);
      return;
    case "scrub":
      markFaulty(state, op, checksum);
      return;
    default:
      purpose satisfies never;
  }
}

function superblockWritten(state: State, sequence: number): void {
  const checkpointOp = state.checkpoint.op;
  const { durableLogView, durableView } = state.superblock;
  if (!superblockDurable(state, sequence)) return;
  state.writesBlocked = true;
  flushWrites(state);
  if (state.checkpoint.op > checkpointOp) updateQuorumCheckpoint(state);
  const { superblock } = state;
  if (superblock.durableView > durableView || superblock.durableLogView > durableLogView) {
    state.emit({ kind: "status" });
  }
  sendVote(state);
  if (state.leads && state.logDurable) {
    if (state.deadlines.get("heartbeat") === Infinity && state.voting) sendCommit(state);
    ackOwn(state);
    return;
  }
  ack(state, true);
}

function onPeerRefused(state: State, replica: ReplicaIndex): void {
  const peer = state.peers[replica];
  assert(peer !== undefined, "VSR-03: peer");
  peer.refusedMs = state.nowMs;
  if (replica !== state.primary || state.primary === state.replica) return;
  if (state.status === "view_change") state.change.expired = true;
  if (state.status === "normal" || state.status === "view_change") suspect(state);
}

/** True when the sender is a member as this replica knows it, and of the same formation. */
function fromMember(state: State, message: PeerMessage): boolean {
  if (message.from === state.replica) return false;
  // A relayed prepare is judged by its content; its signature is its author's.
  if (message.kind === "prepare") return state.formed;
  const member = memberOf(state, message.from);
  if (member === null || member.incarnation !== message.incarnation) return false;
  if (message.kind === "ping" || message.kind === "pong") return true;
  return state.formed && state.peers[message.from]?.formation !== "other";
}

function onMessage(state: State, message: PeerMessage): void {
  refreshMembers(state);
  if (!fromMember(state, message)) return;
  const peer = state.peers[message.from];
  assert(peer !== undefined, "VSR-03: peer");
  noteReturn(state, message.from);
  if (state.leads) learnVoice(state);
  peer.heardMs = state.nowMs;
  // A volume that was rolled back takes no part; it only says and hears so.
  if (state.lost && message.kind !== "ping" && message.kind !== "pong") return;
  switch (message.kind) {
    case "prepare":
      onPrepare(state, message.from, message.prepare);
      return;
    case "prepare_ok":
      onPrepareOk(state, message);
      return;
    case "commit":
      onCommit(state, message);
      return;
    case "start_view_change":
      onStartViewChange(state, message.from, message.view);
      return;
    case "do_view_change":
      onDoViewChange(state, message);
      return;
    case "start_view":
      if (onStartView(state, message)) beginPatience(state);
      return;
    case "get_view":
      sendStartView(state, message.from, message.nonce);
      return;
    case "get_headers":
      onGetHeaders(state, message);
      return;
    case "headers":
      onHeaders(state, message);
      return;
    case "get_prepare":
      onGetPrepare(state, message.from, message.op, message.checksum);
      return;
    case "get_chunk":
    case "chunk":
    case "cosign":
      return; // The host's, for state sync and for proofs.
    case "ping":
    case "pong":
      onPing(state, message);
      return;
    default:
      message satisfies never;
  }
}

function onPing(state: State, message: Ping): void {
  const peer = state.peers[message.from];
  assert(peer !== undefined, "VSR-03: peer");
  const { formationId } = state.superblock.durable.identity;
  peer.formation = message.formationId === formationId ? "same" : "other";
  if (peer.formation === "other") return;
  peer.formed = message.lives.length > 0;
  if (message.commitMin > peer.commitMin) {
    peer.commitMin = message.commitMin;
    state.nudgeTransfer();
  }
  peer.learner = message.learner;
  peer.voteFloor = message.voteFloor;
  peer.status = message.status;
  peer.versions = message.versions;
  noteCheckpoint(state, message.from, message.checkpointOp, message.checkpointId);
  learnClock(state, message);
  adoptMembers(state, message.replaced);
  noteOwnKey(state, message.from, message.replaced);
  judgePing(state, message);
  const verdict = onVerdict(state, message);
  if (!state.lost) considerFormation(state);
  if (message.kind === "ping") answer(state, message.from, message.monotonicMs);
  if (verdict === "vouched") onVouched(state);
  if (state.formed && !state.lost && message.view > state.view) joinView(state, message.view);
}

/** A peer takes this replica's votes from now on: what waits for that goes at once. */
function onVouched(state: State): void {
  sendVote(state);
  if (!state.leads) ack(state, true);
}
