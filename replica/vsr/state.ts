import type { Checksum, Op, ReplicaIndex, View } from "#replica/base/brands.ts";
import { prepareBodyBytesMax, sessionsMax } from "#replica/base/limits.ts";
import { Prng } from "#replica/base/prng.ts";
import { completeTiming, type Timing } from "#replica/base/timing.ts";
import type {
  CheckpointDescriptor,
  MachineVersions,
  PeerMessage,
  ReplicaStatus,
  VolumeVerdict,
} from "#replica/wire/peer-message.ts";
import type { Prepare, PrepareHeader } from "#replica/wire/prepare.ts";
import type { Life, Member, PeerMemory, SuperblockState } from "#replica/wire/superblock.ts";
import type { CheckpointIds } from "./agreement.ts";
import type { AlarmCode, Standing } from "./alarms.ts";
import { ClusterClock } from "./cluster-clock.ts";
import { decodeConsensusState } from "./consensus-state.ts";
import type { Effect } from "./effect.ts";
import { GapMemory } from "./gap-memory.ts";
import type { Log } from "./log.ts";
import type { ReplicaOptions } from "./options.ts";
import { Pipeline } from "./pipeline.ts";
import { primaryOf } from "./quorum.ts";
import { Sessions } from "./sessions.ts";
import { Deadlines } from "./timeouts.ts";

/** A DO_VIEW_CHANGE as it came. */
export type DoViewChange = Extract<PeerMessage, { kind: "do_view_change" }>;

/** What this replica told, or will tell, of its log in the view that it is changing to. */
export interface OwnVote {
  readonly logView: View;
  readonly op: Op;
  readonly commitMax: Op;
  /** From `op` down to min(op, commitMax); null = blank. Never changes within the view. */
  readonly headers: readonly (PrepareHeader | null)[];
}

/** State of a view change under way, and of the suspicion before it. */
export interface ViewChange {
  /** Own vote; null while normal. */
  vote: OwnVote | null;
  /** Latest vote of each peer for the current view. */
  votes: Map<ReplicaIndex, DoViewChange>;
  /** This replica leads the new view and has chosen its log. */
  selected: boolean;
  /** When each replica's START_VIEW_CHANGE for the current view came, ms; -Infinity = never. */
  suspectedMs: number[];
  /** View changes since the last commit; doubles the timeout. */
  attempts: number;
  /** What keeps the votes of this view from being a log, as a sentence; null = nothing. */
  stuck: string | null;
  /** Entered in this step and not yet handed to the superblock: one write may tell more. */
  unsaved: boolean;
  /** The timeout of this view has passed: START_VIEW_CHANGE goes again and again (A5a 6). */
  expired: boolean;
}

/** Where the execution of the next committed op stands. */
export type Execution =
  | { kind: "idle" }
  | { kind: "reading"; op: Op }
  | { kind: "loading"; op: Op; prepare: Prepare };

/** What is known of a peer. */
export interface Peer {
  /** Last frame of any kind, ms. */
  heardMs: number;
  /** When its process was last found gone: a dial after a closed connection was refused, ms. */
  refusedMs: number;
  /** Last sign of life as primary, ms; -Infinity = none since it was heard as no primary. */
  ledMs: number;
  /** Last frame of any kind to it, ms. */
  sentMs: number;
  commitMin: Op;
  checkpointOp: Op;
  formation: "unknown" | "same" | "other";
  /** Its last ping told of a life, which begins with its formation. */
  formed: boolean;
  /** Judgement on the peer's last opening that was heard of, told back to it (rule A11). */
  judged: { readonly life: number; readonly nonce: number; readonly verdict: VolumeVerdict };
  /** The peer remembers nothing newer of this volume, said in this life: it takes votes. */
  vouches: boolean;
  /** A replaced volume that has no vote yet, and the view from which it may have one. */
  learner: boolean;
  voteFloor: View;
  /** As its last ping said. */
  status: ReplicaStatus;
  /** Versions of the machine that its build can apply; null = not told in this life. */
  versions: MachineVersions | null;
  /** Last ping to it that wanted a pong, ms. */
  askedMs: number;
  /** Last ping or pong to it, ms, and what was new in it. */
  toldMs: number;
  toldNews: string;
  /** Key of this replica that the peer said it holds durably; null = that of genesis. */
  ownKey: string | null;
}

/** The superblock as durable, and the write in flight. */
export interface SuperblockWrites {
  durable: SuperblockState;
  writing: SuperblockState | null;
  /** Something changed since the write in flight was made. */
  dirty: boolean;
  /** When the last write became durable, ms. */
  writtenMs: number;
  /** View and log_view as durable; equal to `durable`'s. */
  durableView: View;
  durableLogView: View;
}

/** The mutable state of a replica, shared by the files of this room; no one else sees it. */
export class State {
  readonly options: ReplicaOptions;
  /** Every timeout of the options, complete. */
  readonly timing: Timing;
  readonly replica: ReplicaIndex;
  readonly log: Log;
  readonly pipeline: Pipeline;
  readonly sessions = new Sessions(sessionsMax);
  readonly prng: Prng;
  readonly deadlines = new Deadlines();
  readonly superblock: SuperblockWrites;
  readonly peers: readonly Peer[];
  effects: Effect[] = [];
  nowMs = 0;
  wallUs = 0;
  status: "normal" | "view_change" | "recovering_head" = "normal";
  view: View;
  logView: View;
  commitMin: Op;
  commitMax: Op;
  /** Checkpoint that is installed durably. */
  checkpoint: CheckpointDescriptor;
  /**
   * Own checkpoints from the oldest that the durable superblock names up to {@link checkpoint}: a
   * replica behind the ring can only sync to one that a quorum has, so the newest of those is kept
   * until the next one takes its place, across restarts too.
   */
  checkpoints: CheckpointDescriptor[];
  quorumCheckpointOp: Op;
  /** Headers of the last selection or vote, for the superblock. */
  viewHeaders: readonly PrepareHeader[];
  change: ViewChange = {
    vote: null,
    votes: new Map(),
    selected: false,
    suspectedMs: [-Infinity, -Infinity, -Infinity],
    attempts: 0,
    stuck: null,
    unsaved: false,
    expired: false,
  };
  execution: Execution = { kind: "idle" };
  /** Op of the checkpoint that the host writes now; null = none. */
  checkpointWriting: Op | null = null;
  /** A durable checkpoint that waits for its superblock. */
  checkpointNext: CheckpointDescriptor | null = null;
  /** Checkpoints let go of in effects that the host has not drained yet: the machine holds them. */
  releasing = 0;
  /** That one came from a peer: those before it are gone from the machine. */
  checkpointSynced = false;
  sync: { target: CheckpointDescriptor; source: ReplicaIndex; startedMs: number } | null = null;
  /** Newest checkpoint that a primary of this view named. */
  checkpointSeen: CheckpointDescriptor | null = null;
  /** Log time never goes below this (heads of all votes). */
  timestampFloorUs = 0;
  /** Longest gaps between signs of life of who led (rule A4). */
  readonly gaps: GapMemory;
  /** As primary: longest times in which it heard neither backup. */
  readonly voices: GapMemory;
  /** By how much this process came late to the present step, ms; 0 below latenessMs. */
  lateMs = 0;
  /** Last COMMIT to the backups, ms. */
  committedMs = -Infinity;
  /** Last monotonic_ms of the primary's heartbeats of this view. */
  heartbeatSeenMs = -Infinity;
  /** Nonce of the GET_VIEW in recovering_head. */
  nonce = 0;
  /** This process's opening of the volume; null before formation. */
  life: Life | null = null;
  /** By replica: what is remembered of its volume. */
  readonly memories: (PeerMemory | null)[];
  /** Members as of what is executed, by index; those of the log are {@link current}. */
  readonly members: Member[];
  /**
   * The last REPLACE of each replica that was executed, by index: a function of the log, as every
   * checkpoint must be. `members` may know later ones, which a learner hears of when it is made.
   */
  replaced: readonly Member[];
  /** Members by this replica's whole log (A5a 3); null: a REPLACE whose body is not here. */
  current: (Member | null)[];
  /** Members changed beside the log. */
  membersDirty = true;
  /** A learner: no votes until it has caught up (rule A11). */
  recovering: boolean;
  /** A replacement, or a member's next key, that this primary will propose next. */
  replacing: Omit<Member, "replaceOp"> | null = null;
  /** Version of the machine that this primary will propose; null = none was asked for. */
  upgrading: number | null = null;
  /** An UPGRADE that was executed and counts from the next checkpoint on; null = none. */
  upgrade: { readonly op: Op; readonly version: number } | null = null;
  /** This volume was rolled back: it never votes again (rule A11). */
  lost: boolean;
  /** Why, as a sentence. */
  lostWhy = "this volume was rolled back or replaced; it has no vote any more, replace it";
  /** The cluster's time (rule A10). */
  readonly clock: ClusterClock;
  /** Wall clock less monotonic time at the last event, us. */
  wallBaseUs = -Infinity;
  /** Conditions that last; those that lasted long enough were told. */
  readonly alarms = new Map<AlarmCode, Standing>();
  /** By replica: ids of its last checkpoints (rule A7). */
  readonly checkpointIds: CheckpointIds = [new Map(), new Map(), new Map()];
  /** Since when two replicas differ and the third has not said, ms; Infinity = they do not. */
  differsSinceMs = Infinity;
  /** Oldest op whose body repair asks for; 0 = none. */
  missingOp = 0;
  /** A damaged block of this state was asked for in vain: peers may have merged it away. */
  starved = false;
  /** Target of the last sync that failed; 0 after one that did not. */
  syncFailedOp = 0;
  /** Three replicas reported one formation id (rule A11), durable as the volume's first life. */
  formed: boolean;
  /** Something may be missing: the repair timer runs. */
  repairPending = false;
  /** Rounds of repair since anything came that was missing, while the primary was heard. */
  fruitless: { rounds: number; commitMin: number; chainLow: number } = {
    rounds: 0,
    commitMin: -1,
    chainLow: -1,
  };
  /**
   * Ops at or below the checkpoint whose slot decayed, with how often they were asked for: nobody
   * needs them, but a restart could not tell what such a slot held and would not know its head.
   */
  readonly decayed = new Map<number, number>();
  /** Below this op no body is missing; only a start for the search. */
  repairLow = 0;
  /** Rounds of repair since this view's log was taken. */
  repairRounds = 0;
  /** When this view's log was taken: bodies asked for before may be asked for anew at once, ms. */
  logTakenMs = -Infinity;
  transfer: { target: ReplicaIndex; untilMs: number; view: View } | null = null;
  /** Last batch, ms. */
  batchMs = -Infinity;
  /** Bytes of that batch. */
  batchBytes = 0;
  /**
   * Highest op that any log is known to have reached, for sync. It stays when a view drops the end
   * of a log: what that end overwrote in the rings does not come back.
   */
  opSeen = 0;
  /** Reads under way to re-send the suffix of a new primary. */
  readonly suffixReads = new Set<number>();
  /** Clients whose registration waits or is in flight at this primary. */
  readonly registering = new Set<string>();
  /** Reads under way for peers. */
  repairReads = 0;
  /** Highest op acked in this view. */
  ackedOp = 0;
  /** Highest op acked in this view that is durable here; an ack's start may be missing here. */
  heldOp = 0;
  /** Checksum of the op at commitMin: what is executed next must name it. */
  commitChecksum: Checksum;
  /** A body waits for its turn to be written. */
  writesBlocked = false;
  /** When the rate-limited GET_VIEW may go again, ms. */
  getViewMs = -Infinity;
  stopped = false;
  opened = false;

  /** State as of the disk; {@link open} in opening.ts goes on from here. */
  constructor(options: ReplicaOptions, log: Log) {
    const { superblock } = options.recovered;
    this.options = options;
    this.timing = completeTiming(options.timing);
    this.replica = options.replica;
    const { clockSampleMs, clockToleranceMs, gapMemoryMs, suspectMaxMs } = this.timing;
    this.gaps = new GapMemory(gapMemoryMs, suspectMaxMs);
    this.voices = new GapMemory(gapMemoryMs, suspectMaxMs);
    this.clock = new ClusterClock(options.replica, clockSampleMs, clockToleranceMs);
    this.log = log;
    this.pipeline = new Pipeline(options.batch.bytesMax ?? prepareBodyBytesMax);
    this.prng = new Prng(options.seed);
    this.superblock = {
      durable: superblock,
      writing: null,
      dirty: false,
      writtenMs: -Infinity,
      durableView: superblock.view,
      durableLogView: superblock.logView,
    };
    this.peers = superblock.members.map(() => ({
      heardMs: -Infinity,
      refusedMs: -Infinity,
      ledMs: -Infinity,
      sentMs: -Infinity,
      commitMin: 0 as Op,
      checkpointOp: 0 as Op,
      formation: "unknown",
      formed: false,
      judged: { life: 0, nonce: 0, verdict: "unknown" },
      vouches: false,
      learner: false,
      status: "normal",
      versions: null,
      voteFloor: 0 as View,
      askedMs: -Infinity,
      toldMs: -Infinity,
      toldNews: "",
      ownKey: null,
    }));
    this.memories = superblock.members.map(({ replica, incarnation }) => {
      const memory = superblock.standing.remembered.find((each) => each.replica === replica);
      return memory?.incarnation === incarnation ? memory : null;
    });
    this.lost = superblock.standing.lost;
    this.recovering = superblock.recovering;
    const state = decodeConsensusState(options.sessions);
    this.replaced = state.members;
    this.members = superblock.members.map((member) => {
      const later = state.members.find((each) => each.replica === member.replica);
      return (later?.replaceOp ?? 0) > (member.replaceOp ?? 0) && later ? later : member;
    });
    this.current = [...superblock.members];
    this.view = superblock.view;
    this.logView = superblock.logView;
    this.checkpoint = superblock.checkpoint;
    this.checkpoints = [...superblock.kept, superblock.checkpoint];
    this.commitMin = superblock.checkpoint.op;
    this.commitChecksum = superblock.checkpoint.opChecksum;
    this.commitMax = superblock.commitMax;
    if (this.commitMax < this.commitMin) this.commitMax = this.commitMin;
    this.quorumCheckpointOp = superblock.quorumCheckpointOp;
    this.viewHeaders = superblock.viewHeaders;
    this.formed = superblock.standing.lives.length > 0 || superblock.recovering;
    this.sessions.load(state.sessions);
  }

  /** Primary of the current view. */
  get primary(): ReplicaIndex {
    return primaryOf(this.view);
  }

  /** This replica leads the current view and is in normal status. */
  get leads(): boolean {
    return this.status === "normal" && this.primary === this.replica;
  }

  /** May vote at all (rule A11). */
  get voting(): boolean {
    const { recovering, voteFloor } = this.superblock.durable;
    if (this.lost || this.stopped) return false;
    return this.formed && !recovering && this.view >= voteFloor;
  }

  /** The log in memory is the current view's, and that is durable. */
  get logDurable(): boolean {
    const { durableView, durableLogView } = this.superblock;
    return this.logView === this.view && durableView === this.view && durableLogView === this.view;
  }

  /** What a planned transfer waits for may have come: it is looked at in this very step. */
  nudgeTransfer(): void {
    if (this.transfer !== null) this.deadlines.set("transfer", this.nowMs);
  }

  /**
   * Another log is this replica's now, which misses something else: what repair waits for, and what
   * it asked for before, counts no more. It begins with the step in which that log is durable.
   */
  beginRepair(): void {
    this.repairPending = true;
    this.repairLow = 0;
    this.repairRounds = 0;
    this.logTakenMs = this.nowMs;
    this.deadlines.clear("repair");
  }

  /** Emits an effect. */
  emit(effect: Effect): void {
    this.effects.push(effect);
  }
}
