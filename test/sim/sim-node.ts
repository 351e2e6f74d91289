import type { ReplicaIndex } from "#replica/base/brands.ts";
import type { Prng } from "#replica/base/prng.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { machineVersions } from "#replica/machine/machine-state.ts";
import type { HostPorts } from "#replica/server/host-options.ts";
import type { Host } from "#replica/server/host.ts";
import { openHost } from "#replica/server/open-host.ts";
import type { Opening } from "#replica/server/opening.ts";
import { type Opened, openStorage } from "#replica/storage/open-storage.ts";
import type { Refusal, StorageTools } from "#replica/storage/storage-tools.ts";
import type { ClientMessage } from "#replica/wire/client-message.ts";
import type { MachineVersions, PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare, PrepareHeader } from "#replica/wire/prepare.ts";
import type { Storage } from "#replica/wire/storage-port.ts";
import { type Subject, Violation } from "./checkers/subject.ts";
import { formattedVolume, lab, quorum, timing, type VolumeCopy } from "./formation.ts";
import { nodeDisk } from "./node-disk.ts";
import { nodeKeys } from "./node-keys.ts";
import { NodeWakes } from "./node-wakes.ts";
import type { NodeWorld } from "./node-world.ts";
import type { SectorDisk } from "./sector-disk.ts";
import { bodyRoom } from "./swarm.ts";
import { SimCosigner } from "./sim-cosigner.ts";
import { scrubLater } from "./sim-scrub.ts";
import { simSealer } from "./sim-sealer.ts";
import type { SimKeys } from "./sim-keys.ts";
import { PowerCut } from "./sim-vault.ts";
import { tendOpening } from "./tend-opening.ts";
import { Truth } from "./truth.ts";
import { alarmOutcome } from "./view-changes.ts";
import { watchedMachine } from "./watched-machine.ts";
import { watchedStorage } from "./watched-storage.ts";

/** Microseconds that a right wall clock shows at virtual time 0. */
export const wallStartUs = 1_800_000_000_000_000;
/** From a start that the device refused to the next one, ms. */
const restartMs = 60;

/**
 * One computer of the simulation: its disk survives, the process in it (the production Host over
 * the production storage) crashes, pauses and starts again; its clocks drift.
 */
export class SimNode implements Subject {
  readonly index: ReplicaIndex;
  readonly disk: SectorDisk;
  readonly keys: SimKeys;
  host: Host | null = null;
  /** Fetches a damaged part of the checkpoint before there is a host. */
  private waiting: Opening | null = null;
  /** Number of the process's life; what belongs to an older one is void. */
  life = 0;
  readonly truth: Truth;
  /** The process stands still until then, ms of virtual time. */
  pausedUntilMs = 0;
  /** Rate of the local clocks against virtual time. */
  rate = 1;
  wallOffsetUs = 0;
  /** Versions of the machine that the build knows with which a process starts here. */
  build: MachineVersions = machineVersions;
  /** The volume can no longer be used; why. */
  lost: string | null = null;
  /** What the view change that is under way can neither keep nor drop. */
  alarm: string | null = null;
  /** State syncs finished in this life and before. */
  syncs = 0;
  /** Newest op that the log of this machine held. */
  headSeen = 0;
  private readonly world: NodeWorld;
  private readonly prng: Prng;
  private readonly cosigner: SimCosigner;
  private opening = false;
  private readonly wakes: NodeWakes;
  private syncing = false;
  private status = "down";
  private view = 0;
  private readonly lostHeaders = new Map<number, PrepareHeader>();

  /** A freshly formatted volume, no process. */
  constructor(index: ReplicaIndex, world: NodeWorld, prng: Prng) {
    this.index = index;
    this.world = world;
    this.prng = prng;
    const { walSlots, slotBytes } = world.swarm;
    const later = (delayMs: number, run: () => void): void => this.later(delayMs, run);
    this.disk = nodeDisk(this, world, prng, later);
    const volume = formattedVolume(index, walSlots, slotBytes);
    this.disk.restore(volume.files);
    this.truth = new Truth(this.disk, { slotsCount: walSlots, slotBytes });
    this.cosigner = new SimCosigner(index);
    this.keys = nodeKeys(index, world, later, volume.keys);
    this.wakes = new NodeWakes(this, world.heap);
  }

  /** True while a process runs or opens its volume. */
  get up(): boolean {
    return this.host !== null || this.opening;
  }

  /** Monotonic clock of this machine, ms. */
  get nowMs(): number {
    return this.world.heap.nowMs * this.rate;
  }

  /** Wall clock of this machine, microseconds: disciplined, so it steps but does not drift. */
  get wallUs(): number {
    const { heap, passedUs } = this.world;
    return wallStartUs + passedUs + Math.floor(heap.nowMs * 1000) + this.wallOffsetUs;
  }

  /** Starts the process from what the disk holds. */
  start(): void {
    if (this.up || this.lost !== null) return;
    const { world } = this;
    if (this.keys.mistaken()) {
      this.startLater();
      return;
    }
    this.life += 1;
    this.opening = true;
    this.wakes.reset();
    world.line("process", this.index, `start, life ${this.life}`);
    this.powered(() => this.openVolume());
  }

  private openVolume(): void {
    const { cluster, shard } = lab;
    const { readError, readFlip } = this.world.swarm.disk;
    // Who reads badly takes whole prepares for damaged ones. Every fourth life is asked (speed).
    const asked = readError + readFlip === 0 && this.life % 8 === 1;
    const slots = asked ? this.truth.keyIds() : [];
    const why = this.keys.open(slots);
    if (why !== null) {
      this.lose(why);
      return;
    }
    openStorage({ ...this.tools(), cluster, shard, replica: this.index }, (opened) => {
      if (opened.ok) this.opened(opened);
      else this.refused(opened);
    });
  }

  /** Runs the process; where power is cut while it waits for its keys, it stops there. */
  private powered(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      this.crash();
      this.startLater();
    }
  }

  /** Kills the process; `power`: writes in flight are cut by sectors. */
  crash(): void {
    if (!this.up) return;
    const { world } = this;
    world.line("process", this.index, `crash, ${this.disk.pendingCount} writes in flight`);
    if (this.disk.pendingCount > 0) world.coverage.add("fault torn_write");
    this.end();
    this.cutWrites();
  }

  /** What is being written lands, tears or does not. */
  private cutWrites(): void {
    this.disk.crash();
    this.keys.crash();
  }

  /** A copy of the volume as it is now. */
  copyVolume(): VolumeCopy {
    return { files: this.disk.snapshot(), keys: this.keys.snapshot(), mark: this.cosigner.mark };
  }

  /** The volume becomes an older copy of itself; the process must be down. */
  rollBack(copy: VolumeCopy): void {
    const first = Math.max(0, this.headSeen - this.world.swarm.walSlots);
    for (let op = first; op <= this.headSeen; op += 1) {
      const header = this.truth.header(op);
      if (header !== null) this.lostHeaders.set(op, header);
    }
    this.disk.restore(copy.files);
    this.keys.restore(copy.keys);
    this.cosigner.mark = copy.mark;
    this.truth.forget();
  }

  /** The disk is gone, with everything on it; or the data keys are, and a start says so. */
  loseDisk(what: "all" | "keys"): void {
    this.crash();
    if (what === "all") this.lost = "the disk was lost";
    else this.keys.destroy();
    this.start();
    this.world.judges.rolledBack(this.index, this.headSeen);
  }

  /** Another disk, formatted by the operator, takes the place of the lost one. */
  replaceDisk(volume: VolumeCopy, publicKey: string): void {
    if (this.up) this.crash();
    this.cosigner.publicKey = publicKey;
    this.world.judges.rolledBack(this.index, this.headSeen);
    this.rollBack(volume);
    this.lost = null;
    this.alarm = null;
    this.start();
  }

  /** What an operator asks of the process. */
  ask<T>(question: (host: Host) => T): T | null {
    let answer: T | null = null;
    if (this.world.heap.nowMs >= this.pausedUntilMs) {
      this.enter((host) => {
        answer = question(host);
      });
    }
    return answer;
  }

  /** The key-encryption key has changed under the process that runs. */
  rewrap(): void {
    if (this.up) this.powered(() => this.keys.rewrap());
  }

  /** Number of the key-encryption key that wraps its table; null when its disk is lost. */
  get kekNumber(): number | null {
    return this.lost === null ? this.keys.kekNumber : null;
  }

  /** A message of a peer arrives. */
  receive(message: PeerMessage): void {
    if (this.host === null) this.waiting?.onPeerMessage(message);
    this.enter((host) => {
      this.world.coverage.message("received", message.kind);
      if (this.cosigner.takes(host, message)) host.onPeerMessage(message);
    });
  }

  /** A peer's connection closed and could not be made again. */
  peerRefused(replica: ReplicaIndex): void {
    this.enter((host) => host.onPeerRefused(replica));
  }

  /** A planned transfer is asked for. */
  transfer(target: ReplicaIndex): void {
    this.enter((host) => host.transfer(target));
  }

  /** A frame of a client's connection; `close` when the host wants it closed. */
  clientMessage(connection: number, message: ClientMessage, close: () => void): void {
    this.enter((host) => {
      if (!host.onClientMessage(connection, message)) close();
    });
  }

  /** A client's connection closed. */
  clientGone(connection: number): void {
    this.enter((host) => host.onClientGone(connection));
  }

  truthHeader(op: number): PrepareHeader | null {
    return this.truth.header(op);
  }

  lostHeader(op: number): PrepareHeader | null {
    return this.lostHeaders.get(op) ?? null;
  }

  get signedSize(): number {
    return this.cosigner.mark?.size ?? 0;
  }

  truthCheckpoint(): number {
    return this.truth.checkpointOp();
  }

  /** Everything that a replica of this machine owns, for the checker of bounds. */
  checkBounds(): void {
    if (this.host !== null) this.world.judges.bounds.check(this.index, this.host);
  }

  private end(): void {
    this.host = null;
    this.waiting = null;
    this.opening = false;
    this.life += 1;
    this.setStatus("down");
    this.world.ended(this.index);
  }

  private opened(opened: Opened): void {
    const { world } = this;
    for (const { row } of opened.verdicts) world.coverage.add(`row ${row.id}`);
    const odd = opened.verdicts.filter((verdict) => verdict.state === "faulty");
    if (world.verbose && odd.length > 0) {
      const text = odd.map(({ op, row }) => `${op} ${row.id}`).join(", ");
      world.line("disk", this.index, `faulty: ${text}`);
    }
    const { lingerMs, depth, proofs } = world.swarm;
    const count = (what: string): void => world.coverage.add(`state ${what}`);
    const machine = watchedMachine(world.swarm, this.build, count);
    const signer = this.cosigner.ports(this);
    const options = {
      replica: this.index,
      recovered: opened.recovered,
      storage: this.watched(opened.storage),
      machine,
      genesisManifest: lab.genesisManifest,
      hash: sha256,
      sealer: simSealer,
      seed: this.prng.uint32(),
      timing,
      quorum,
      batch: { lingerMs, depth, bytesMax: bodyRoom(world.swarm.slotBytes) },
      ports: this.ports(),
      ...(proofs ? { proofs: { ...signer, origin: lab.origin } } : {}),
    };
    const { superblock } = opened.recovered;
    openHost(options, (result) => {
      if (!result.ok) {
        this.lose(result.message);
        return;
      }
      machine.executed = (...ran) => this.executed(machine.version, ...ran);
      this.opening = false;
      this.host = result.host;
      const { view, logView, checkpoint, sequence } = superblock;
      const facts = `view ${view} log_view ${logView} checkpoint ${checkpoint.op}`;
      world.line("process", this.index, `opened: superblock ${sequence} ${facts}`);
      world.judges.started(this, superblock);
      result.host.start();
      scrubLater(this, opened.storage, world);
      if (logView < view) world.coverage.add("view change resumed_stored_vote");
    });
  }

  private refused(refusal: Refusal): void {
    this.world.line("process", this.index, `refused: ${refusal.message}`);
    if (refusal.code !== "io") {
      this.lose(refusal.message);
      return;
    }
    this.end();
    // What opening had begun to write lands now or never, not on top of the next life's writes.
    this.cutWrites();
    this.startLater();
  }

  private startLater(): void {
    const { life } = this;
    this.world.heap.after(restartMs, () => {
      if (this.life === life) this.start();
    });
  }

  /** The volume is of no use any more: legitimate on the one machine whose disk fails. */
  private lose(why: string): void {
    this.world.line("process", this.index, `lost: ${why}`);
    this.end();
    this.cutWrites();
    if (why.includes("this build runs versions")) {
      this.startAnew();
      return;
    }
    this.lost = why;
    if (this.index === this.world.atlas.badMachine) return;
    throw new Violation(`process: replica ${this.index} ended: ${why}`);
  }

  /** The build was too old for the shard: nothing is lost, a newer one starts a little later. */
  private startAnew(): void {
    this.world.coverage.add("fault wrong_build");
    this.build = machineVersions;
    this.startLater();
  }

  private executed(version: number, prepare: Prepare, replies: readonly Uint8Array[]): void {
    const { world } = this;
    if (!world.judges.executed(this, prepare, replies, version, world.heap.nowMs)) return;
    world.mix(2, this.index, prepare.header.op, prepare.header.view);
    world.committed(this.index, prepare);
  }

  /** Something happens to the host, once the process stands still no more. */
  enter(run: (host: Host) => void): void {
    const { heap } = this.world;
    const { life, host } = this;
    if (host === null) return;
    if (heap.nowMs >= this.pausedUntilMs) {
      this.resume(life, () => run(host));
      return;
    }
    heap.at(this.pausedUntilMs, () => {
      if (this.life === life) this.enter(run);
    });
  }

  /** Goes on with something of that life, once the process stands still no more. */
  resume(life: number, run: () => void): void {
    const { heap } = this.world;
    if (this.life !== life) return;
    if (heap.nowMs < this.pausedUntilMs) {
      heap.at(this.pausedUntilMs, () => this.resume(life, run));
      return;
    }
    this.powered(run);
    this.settled();
  }

  /** After anything that the process did. */
  private settled(): void {
    const { host, world } = this;
    if (host === null) return;
    const { replica } = host;
    world.mix(this.index, replica.view, replica.head, replica.commitMin);
    this.headSeen = replica.head;
    world.judges.stepped(this);
    this.setStatus(replica.status);
    if (this.syncing && !host.syncing) this.synced();
    this.syncing = host.syncing;
    this.wakes.arm(host);
  }

  private synced(): void {
    this.syncs += 1;
    this.world.coverage.add("state synced");
  }

  private setStatus(status: string): void {
    const view = this.host?.replica.view ?? this.view;
    if (this.status === status && this.view === view) return;
    const { world } = this;
    if (this.status !== status) world.coverage.add(`status ${this.status}>${status}`);
    if (world.verbose) {
      const replica = this.host?.replica;
      const where = replica === undefined ? "" : ` head ${replica.head} min ${replica.commitMin}`;
      world.line("status", this.index, `${this.status} > ${status}, view ${view}${where}`);
    }
    if (status !== "view_change") this.alarm = null;
    this.status = status;
    this.view = view;
  }

  private ports(): HostPorts {
    const { world, index } = this;
    return {
      nowMs: () => this.nowMs,
      wallUs: () => {
        const { wallUs } = this;
        world.judges.timestamps.clock(index, wallUs, world.heap.nowMs);
        return wallUs;
      },
      send: (to, message) => {
        world.coverage.message("sent", message.kind);
        world.judges.sent(this, message);
        world.carry(index, to, message);
      },
      toClient: (connection, message) => world.toClient(index, connection, message),
      later: (run) => this.later(0.1, run),
      wake: () => undefined,
      opening: (opening) => {
        this.waiting = opening;
        tendOpening(opening, this, () => this.waiting === opening && this.host === null);
      },
      status: () => undefined,
      alarm: (what) => {
        if (what.includes("can be neither kept nor dropped")) this.alarm = what;
        const outcome = alarmOutcome(what);
        if (outcome !== null) world.coverage.add(`view change ${outcome}`);
        world.line("status", index, `alarm: ${what}`);
      },
      stop: (why) => this.later(0, () => this.lose(why)),
      observe: () => undefined,
    };
  }

  /** Runs something later, unless the process has ended. */
  later(delayMs: number, run: () => void): void {
    const { life } = this;
    this.world.heap.after(delayMs, () => this.resume(life, run));
  }

  private tools(): StorageTools {
    return {
      ...lab.tools,
      disk: this.disk,
      vault: this.keys.vault,
      later: (run) => this.later(0.5, run),
      poisoned: (why) => this.later(0, () => this.lose(why)),
      slotBytes: this.world.swarm.slotBytes,
    };
  }

  private watched(storage: Storage): Storage {
    const { judges, coverage } = this.world;
    return watchedStorage(storage, {
      writes: (header) => judges.writes(this, header),
      wrote: (state) => judges.wrote(this, state),
      count: (what) => coverage.add(`state ${what}`),
    });
  }
}
