import type { Checksum, Op, ReplicaIndex } from "#replica/base/brands.ts";
import type { Prng } from "#replica/base/prng.ts";
import type { Effect } from "#replica/vsr/effect.ts";
import type { Event } from "#replica/vsr/event.ts";
import { Replica } from "#replica/vsr/replica.ts";
import type { CheckpointDescriptor, PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import type { SimDisk, Snapshot } from "./disk.ts";
import { fakeHash, fakeSealer } from "./fake-sealer.ts";
import type { Heap } from "#test/sim/heap.ts";
import { ToyMachine, toyGenesis } from "./toy-machine.ts";
import { Violation } from "./history.ts";
import { Promises } from "./promises.ts";

/** What a replica's host needs of the cluster around it. */
export interface Surroundings {
  readonly heap: Heap;
  readonly prng: Prng;
  readonly slots: number;
  readonly diskMs: { readonly min: number; readonly mean: number };
  readonly depth: number;
  readonly lingerMs: number;
  send(from: ReplicaIndex, to: ReplicaIndex, message: PeerMessage): void;
  answer(from: ReplicaIndex, effect: Extract<Effect, { kind: "reply" | "reject" }>): void;
  executed(replica: ReplicaIndex, prepare: Prepare): void;
  checkpointTaken(op: number, id: string): void;
  committedOp(): number;
  /** The primary of a view says that everything up to an op is committed. */
  commitsDecided(replica: ReplicaIndex, view: number, op: number): void;
  /** A replica knows that this op is committed. */
  known(commitMax: number): void;
  /** A peer's checkpoint, when the peer lives, can be reached and still has it. */
  fetch(from: ReplicaIndex, source: ReplicaIndex, id: Checksum): Snapshot | null;
  note(replica: ReplicaIndex, text: string): void;
  trace(what: number, a: number, b: number, c: number): void;
  /** The disk may refuse this read. */
  readFails(replica: ReplicaIndex, op: number): boolean;
}

/** Milliseconds that a wall clock of 2026 shows at virtual time 0. */
const wallStartMs = 1_790_000_000_000;

/** A machine with one replica process that crashes and restarts over its surviving disk. */
export class SimReplica {
  readonly index: ReplicaIndex;
  readonly disk: SimDisk;
  readonly promises: Promises;
  replica: Replica | null = null;
  machine = new ToyMachine(toyGenesis);
  /** Number of the process's life; completions of older lives are void. */
  life = 0;
  /** The event loop stands still until then, ms. */
  pausedUntilMs = 0;
  /** Difference of this machine's wall clock from virtual time, us. */
  wallOffsetUs = 0;
  alarm: string | null = null;
  private readonly around: Surroundings;
  private wakeMs = Infinity;
  private lastHead = 0;
  private lastLogView = 0;
  private stepping = false;
  /** log_view of the newest superblock write. */
  private logViewWriting = 0;
  /** commitMax when this replica was last seen not to lead. */
  private ledFrom = 0;

  constructor(index: ReplicaIndex, disk: SimDisk, around: Surroundings) {
    this.index = index;
    this.disk = disk;
    this.around = around;
    this.promises = new Promises(index);
  }

  /** Starts the process from what the disk holds. */
  start(): void {
    const recovered = this.disk.recover();
    const { checkpoint, view, logView } = recovered.superblock;
    const snapshot = this.disk.snapshots.get(checkpoint.id);
    this.machine = new ToyMachine(snapshot?.state ?? toyGenesis);
    this.life += 1;
    this.wakeMs = Infinity;
    this.logViewWriting = logView;
    this.around.note(this.index, `start view ${view}/${logView} checkpoint ${checkpoint.op}`);
    this.replica = new Replica({
      replica: this.index,
      recovered,
      machine: this.machine,
      sealer: fakeSealer,
      seed: this.around.prng.uint32(),
      timing: { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 },
      quorum: { replication: 2, viewChange: 2 },
      batch: { lingerMs: this.around.lingerMs, depth: this.around.depth },
      sessions: snapshot?.sessions ?? new Uint8Array(0),
    });
    this.promises.restarted(this.replica.view, logView);
    this.lastHead = this.replica.head;
    this.lastLogView = logView;
    const faulty = recovered.slots.filter((slot) => slot.state === "faulty").map((slot) => slot.op);
    if (faulty.length > 0) this.around.note(this.index, `faulty ${faulty.join(" ")}`);
    this.around.note(this.index, `opened ${this.replica.status} head ${this.replica.head}`);
    this.step({ kind: "timeout" });
  }

  /** Kills the process and cuts its writes. */
  crash(): void {
    this.around.note(this.index, "crash");
    this.replica = null;
    this.life += 1;
    this.disk.crash();
  }

  /** Hands an event over, now or when the pause ends. */
  deliver(event: Event): void {
    const { heap } = this.around;
    if (this.replica === null) return;
    if (heap.nowMs >= this.pausedUntilMs) {
      this.step(event);
      return;
    }
    const { life } = this;
    heap.at(this.pausedUntilMs, () => {
      if (this.life === life) this.deliver(event);
    });
  }

  private step(event: Event): void {
    const { replica, around } = this;
    if (replica === null) return;
    if (this.stepping) throw new Error("sim: reentrant step");
    this.stepping = true;
    const nowMs = around.heap.nowMs;
    const wallUs = Math.floor((wallStartMs + nowMs) * 1000) + this.wallOffsetUs;
    replica.step(event, nowMs, wallUs);
    this.stepping = false;
    this.noteTruncation(replica);
    around.trace(this.index, replica.view, replica.head, replica.commitMin);
    around.known(replica.commitMax);
    this.checkLeading(replica);
    for (const effect of replica.drain()) this.run(effect);
    replica.finish();
    for (const effect of replica.drain()) this.run(effect);
    this.wake(replica);
  }

  /** A newer log that ends lower, or that replaces a lost tail, ends the promises above it. */
  private noteTruncation(replica: Replica): void {
    const installed = replica.status === "normal" && replica.view > this.lastLogView;
    if (replica.head < this.lastHead || installed) this.promises.truncated(replica.head);
    if (installed) this.lastLogView = replica.view;
    this.lastHead = replica.head;
  }

  /** A primary raises commitMax only by acks of its own view (A3.5). */
  private checkLeading(replica: Replica): void {
    const leads = replica.status === "normal" && replica.primary === this.index;
    if (!leads) this.ledFrom = replica.commitMax;
    else if (replica.commitMax > this.ledFrom) {
      this.around.commitsDecided(this.index, replica.view, replica.commitMax);
    }
  }

  private wake(replica: Replica): void {
    const { heap } = this.around;
    const atMs = replica.deadlineMs;
    if (atMs === Infinity || (this.wakeMs > heap.nowMs && this.wakeMs <= atMs)) return;
    this.wakeMs = atMs;
    const { life } = this;
    heap.at(atMs, () => {
      if (this.life !== life || this.wakeMs !== atMs) return;
      this.wakeMs = Infinity;
      this.deliver({ kind: "timeout" });
    });
  }

  /** Runs `run` after a disk-like delay, unless the process died meanwhile. */
  private later(run: () => void, times = 1): void {
    const { heap, prng, diskMs } = this.around;
    const { life } = this;
    const delayMs = (diskMs.min - diskMs.mean * Math.log(1 - prng.fraction())) * times;
    heap.after(delayMs, () => {
      if (this.life === life) run();
    });
  }

  private run(effect: Effect): void {
    switch (effect.kind) {
      case "send":
        this.promises.sent(effect.message, this.disk, this.around.committedOp());
        this.around.send(this.index, effect.to, effect.message);
        return;
      case "write_prepare":
        this.writePrepare(effect.prepare);
        return;
      case "read_prepare":
        this.readPrepare(effect);
        return;
      case "write_superblock":
        this.writeSuperblock(effect);
        return;
      case "load_blocks":
        this.loadBlocks(effect);
        return;
      case "reply":
      case "reject":
        this.around.answer(this.index, effect);
        return;
      case "committed":
        this.committed(effect.op);
        return;
      case "write_checkpoint":
        this.writeCheckpoint(effect);
        return;
      case "checkpoint_installed":
        this.dropSnapshots(effect.checkpoint);
        return;
      case "sync":
        this.sync(effect.target, effect.source);
        return;
      case "members":
        return;
      case "status":
        this.noteStatus();
        return;
      case "alarm":
        if (effect.what.includes("can be neither kept nor dropped")) this.alarm = effect.what;
        this.around.note(this.index, `alarm: ${effect.what}`);
        return;
      case "stop":
        throw new Error(`replica ${this.index} stopped: ${effect.why}`);
      default:
        effect satisfies never;
    }
  }

  private noteStatus(): void {
    const { replica } = this;
    if (replica !== null) this.around.note(this.index, `${replica.status} view ${replica.view}`);
  }

  private committed(op: Op): void {
    const prepare = this.machine.executed.get(op);
    if (prepare === undefined) throw new Error("sim: committed without apply");
    this.machine.executed.delete(op);
    this.around.executed(this.index, prepare);
  }

  private loadBlocks(effect: Extract<Effect, { kind: "load_blocks" }>): void {
    this.later(() => {
      const blocks = effect.addresses.map(() => new Uint8Array(1));
      this.deliver({ kind: "blocks_loaded", op: effect.op, blocks });
    });
  }

  private writePrepare(prepare: Prepare): void {
    const { op, checksum } = prepare.header;
    if (this.logViewWriting > this.disk.superblock.logView) {
      throw new Violation(`2 persist: op ${op} written before log_view is durable`);
    }
    if (op - this.disk.slots.length > this.disk.superblock.checkpoint.op) {
      throw new Violation(`10 journal: op ${op} overwrites what no checkpoint holds`);
    }
    this.promises.replaced(op, checksum);
    this.disk.beginWrite(prepare);
    this.later(() => {
      this.disk.finishWrite(prepare);
      this.later(() => this.disk.finishIdentifier(prepare), 3);
      this.deliver({ kind: "prepare_durable", op, checksum });
    });
  }

  private readPrepare(effect: Extract<Effect, { kind: "read_prepare" }>): void {
    const { op, checksum, purpose } = effect;
    this.later(() => {
      const failed = this.around.readFails(this.index, op);
      const prepare = failed ? null : this.disk.read(op, checksum);
      this.deliver({ kind: "prepare_read", op, checksum, purpose, prepare });
    });
  }

  private writeSuperblock(effect: Extract<Effect, { kind: "write_superblock" }>): void {
    this.logViewWriting = effect.state.logView;
    this.later(() => {
      this.disk.superblock = effect.state;
      this.deliver({ kind: "superblock_durable", sequence: effect.state.sequence });
    }, 2);
  }

  private writeCheckpoint(effect: Extract<Effect, { kind: "write_checkpoint" }>): void {
    const { op, opChecksum, parentId, sessions } = effect;
    const state = this.machine.frozen;
    if (state === null || state.op !== op) throw new Error("sim: frozen state");
    const content = `${state.op} ${state.count} ${state.mix} ${fakeHash(sessions)}`;
    const root = fakeHash(content);
    const id = fakeSealer.checkpointId(root, parentId, op, opChecksum);
    const checkpoint = { id, parentId, op, opChecksum, root, manifestBytes: content.length };
    this.around.checkpointTaken(op, id);
    this.later(() => {
      this.disk.snapshots.set(id, { checkpoint, state, sessions });
      this.deliver({ kind: "checkpoint_durable", checkpoint });
    }, 8);
  }

  private dropSnapshots(installed: CheckpointDescriptor): void {
    for (const [id, snapshot] of this.disk.snapshots) {
      if (snapshot.checkpoint.op < installed.op) this.disk.snapshots.delete(id);
    }
  }

  private sync(target: CheckpointDescriptor, source: ReplicaIndex): void {
    this.around.note(this.index, `sync to ${target.op} from ${source}`);
    this.later(() => {
      const snapshot = this.around.fetch(this.index, source, target.id);
      if (snapshot === null) return this.deliver({ kind: "sync_failed", checkpoint: target });
      this.later(() => {
        this.disk.snapshots.set(target.id, snapshot);
        const { checkpoint, state, sessions } = snapshot;
        this.machine.state = state;
        this.deliver({ kind: "sync_done", checkpoint, sessions });
      }, 10);
    }, 4);
  }
}
