import { assert } from "#replica/base/assert.ts";
import { type Op, type ReplicaIndex, replicaFrom, type View } from "#replica/base/brands.ts";
import { replicasCount } from "#replica/base/limits.ts";
import { liveSegmentIds, type Manifest } from "#replica/snapshot/manifest.ts";
import { completeTiming, type Timing } from "#replica/base/timing.ts";
import type { BlockAddress } from "#replica/snapshot/port.ts";
import { checkpointInterval } from "#replica/vsr/checkpoint.ts";
import type { Effect } from "#replica/vsr/effect.ts";
import type { Event } from "#replica/vsr/event.ts";
import { Replica } from "#replica/vsr/replica.ts";
import type { SlotFault } from "#replica/storage/scrubber.ts";
import type { ClientMessage } from "#replica/wire/client-message.ts";
import type { CheckpointDescriptor, PeerMessage } from "#replica/wire/peer-message.ts";
import { BlockStore } from "./block-store.ts";
import { Checkpoints } from "./checkpoints.ts";
import { ChunkSource } from "./chunk-source.ts";
import { countsAtStart, type HostOptions, type HostPorts } from "./host-options.ts";
import { ClientDesk } from "./client-desk.ts";
import { memberKeys } from "./member-keys.ts";
import { Proofs } from "./proofs.ts";
import type { KeptCheckpoint, Restored } from "./restore-machine.ts";
import { restoreMachine, unreadTarget } from "./restore-machine.ts";
import { StateSync } from "./state-sync.ts";

/** Between two removals of garbage, ms: only a pace, what may go is fixed by garbageHoldMs. */
const collectRetryMs = 100;
/** Share of the WAL since the last checkpoint at which the next presses; it begins at 0.48. */
const pressingShare = 0.6;
/** WAL writes and commits that are timed at once at most. */
const timedMax = 64;

/**
 * A whole replica but for its sockets, files and clocks: consensus, machine, storage, checkpoints,
 * state sync, clients. Synchronous and deterministic; the simulator runs this very class.
 */
export class Host {
  readonly counts = countsAtStart();
  readonly replica: Replica;
  readonly clients: ClientDesk;
  /** Trees, signed checkpoints and receipts; null when this host proves nothing. */
  readonly proofs: Proofs | null;
  readonly blocks: BlockStore;
  /** When the primary of the current view last said how far it is; -Infinity = never. */
  primaryHeardMs = Number.NEGATIVE_INFINITY;
  /** Wall clock of the last commit here, ms since the Unix epoch; 0 = none. */
  lastCommitWallMs = 0;
  private readonly options: HostOptions;
  private readonly timing: Timing;
  private readonly ports: HostPorts;
  private readonly source: ChunkSource;
  private readonly sync: StateSync;
  private checkpoints: Checkpoints;
  private installed: CheckpointDescriptor;
  /** Views of superblocks that are durable; frames of ours never name a higher one. */
  private viewDurable: View;
  private restoring = false;
  private stopped = false;
  private finishing = false;
  private collectNotBeforeMs = 0;
  private viewSeen: View;
  private readonly writeStartMs = new Map<Op, number>();

  /** The machine stands at the recovered checkpoint; use {@link openHost}. */
  constructor(
    options: HostOptions,
    restored: Extract<Restored, { ok: true }>,
    kept: readonly KeptCheckpoint[],
  ) {
    const { superblock } = options.recovered;
    this.options = options;
    this.timing = completeTiming(options.timing);
    this.ports = options.ports;
    this.installed = superblock.checkpoint;
    this.viewDurable = superblock.view;
    this.viewSeen = superblock.view;
    this.blocks = this.makeBlockStore();
    this.proofs = this.makeProofs();
    this.clients = this.makeClientDesk();
    this.source = new ChunkSource(options.storage, options.genesisManifest);
    for (const { checkpoint } of kept) this.source.add(checkpoint);
    this.source.add(superblock.checkpoint);
    const manifests = kept.map(({ manifest }) => manifest);
    this.checkpoints = this.makeCheckpoints(restored, { replaced: [], kept: manifests });
    this.sync = this.makeStateSync();
    const { replica, machine, sealer, seed, timing, quorum, batch } = options;
    const { sessions } = restored;
    const offered = { ...superblock, kept: kept.map(({ checkpoint }) => checkpoint) };
    const recovered = { ...options.recovered, superblock: offered };
    const core = { replica, recovered, machine, sealer, seed, timing, quorum, batch, sessions };
    this.replica = new Replica(core);
  }

  /** Opens the log; call once, when the ports work. */
  start(): void {
    this.step({ kind: "timeout" });
  }

  /** When {@link onTimer} is wanted, monotonic ms; Infinity = never. */
  get deadlineMs(): number {
    const { replica, sync, blocks } = this;
    const wanted = Math.min(replica.deadlineMs, sync.deadlineMs, blocks.deadlineMs);
    // While a restore lasts nothing is ticked: a deadline of the past would wake for nothing.
    const proofs = this.restoring ? null : this.proofs;
    const proofsMs = proofs?.deadlineMs ?? Number.POSITIVE_INFINITY;
    return Math.min(wanted, this.collectAtMs, proofsMs);
  }

  /** True while {@link work} has something to do. */
  get workWanted(): boolean {
    // What a sync brings may be what a merge makes here: one of them writes it.
    if (this.syncing) return false;
    // A checkpoint waits until its entries are hashed.
    if (this.proofs?.behind === true) return this.proofs.workWanted;
    return this.checkpoints.workWanted;
  }

  /** True when a checkpoint is so late that requests would soon wait for room in the WAL. */
  get workPressing(): boolean {
    if (!this.checkpoints.urgent) return false;
    const { walSlotsCount } = this.options.recovered.superblock.identity;
    const behind = this.replica.head - this.replica.checkpointOp;
    return behind > walSlotsCount * pressingShare;
  }

  /** True while a peer's checkpoint is fetched or loaded. */
  get syncing(): boolean {
    return this.sync.active || this.restoring;
  }

  /** The deadline has passed. */
  onTimer(): void {
    const nowMs = this.ports.nowMs();
    this.sync.tick(nowMs);
    this.blocks.tick(nowMs);
    if (!this.restoring) this.proofs?.tick(nowMs);
    if (nowMs >= this.collectAtMs) {
      this.checkpoints.collect();
      this.collectNotBeforeMs = nowMs + collectRetryMs;
    }
    if (nowMs >= this.replica.deadlineMs) this.step({ kind: "timeout" });
    else this.ports.wake();
  }

  /** One bounded slice of checkpoint work, about 0.3 ms. */
  work(): void {
    if (this.stopped || !this.workWanted) return;
    if (this.proofs?.workWanted === true) this.proofs.work();
    else this.checkpoints.work();
  }

  /** An authenticated, decoded frame of a peer. */
  onPeerMessage(message: PeerMessage): void {
    if (message.kind === "get_chunk") {
      this.source.serve(message, this.ports.nowMs(), (chunk) => {
        this.ports.send(message.from, { ...this.envelope(), kind: "chunk", ...chunk });
      });
      return;
    }
    if (message.kind === "chunk") {
      const { checkpointId, segment, block, bytes } = message;
      if (!this.blocks.receive(segment, block, bytes)) {
        this.sync.receive(checkpointId, segment, block, bytes);
      }
      this.ports.wake();
      return;
    }
    if (message.kind === "cosign") {
      this.proofs?.onCosign(message.from, message);
      return;
    }
    this.step({ kind: "message", message });
    const { primary, view } = this.replica;
    const leading = message.kind === "commit" || message.kind === "prepare";
    if (leading && message.from === primary && message.view === view) {
      this.primaryHeardMs = this.ports.nowMs();
    }
  }

  /** A peer's connection closed and an immediate reconnect was refused. */
  onPeerRefused(replica: ReplicaIndex): void {
    this.step({ kind: "peer_refused", replica });
  }

  /** A scrub found the slot of that op damaged: the log repairs it from a peer. */
  onSlotFault({ op, checksum }: SlotFault): void {
    const purpose = { kind: "scrub" } as const;
    this.step({ kind: "prepare_read", op, checksum, purpose, prepare: null });
  }

  /** Asks for a planned transfer of the primary (A8). */
  transfer(target: ReplicaIndex): void {
    this.step({ kind: "transfer", target });
  }

  /** An operator's command, REPLACE (A11) or UPGRADE (A12); repeated until it is done. */
  command<T>(ask: (replica: Replica, step: (event: Event) => void) => T): T {
    return ask(this.replica, (event) => this.step(event));
  }

  /** A frame of a client's connection; false: close it. */
  onClientMessage(connection: number, message: ClientMessage): boolean {
    return this.clients.onMessage(connection, message);
  }

  /** A client's connection closed. */
  onClientGone(connection: number): void {
    this.clients.onGone(connection);
  }

  /** When garbage may go: a while after a peer last fetched a chunk. */
  private get collectAtMs(): number {
    if (this.checkpoints.garbageCount === 0) return Number.POSITIVE_INFINITY;
    return Math.max(this.collectNotBeforeMs, this.source.lastAskedMs + this.timing.garbageHoldMs);
  }

  private step(event: Event): void {
    if (this.stopped) return;
    this.replica.step(event, this.ports.nowMs(), this.ports.wallUs());
    this.drain();
    if (this.replica.unfinished && !this.finishing) {
      this.finishing = true;
      this.ports.later(() => this.finish());
    }
    this.ports.wake();
  }

  /** What a backup put off until its prepare was logged and acked. */
  private finish(): void {
    this.finishing = false;
    if (this.stopped) return;
    this.replica.finish();
    this.drain();
    this.ports.wake();
  }

  private drain(): void {
    for (const effect of this.replica.drain()) {
      if (this.stopped) return;
      this.execute(effect);
    }
  }

  private execute(effect: Effect): void {
    switch (effect.kind) {
      case "send":
        this.ports.send(effect.to, effect.message);
        return;
      case "write_prepare":
        this.writePrepare(effect);
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
        this.clients.reply(effect);
        return;
      case "reject":
        this.clients.reject(effect);
        return;
      case "committed":
        this.committed(effect.op);
        return;
      case "write_checkpoint":
        this.checkpoints.begin(effect);
        return;
      case "checkpoint_installed":
        this.installed = effect.checkpoint;
        this.checkpoints.installed(effect.checkpoint);
        return;
      case "sync":
        // While the last target is being loaded; its sync_done brings the question back.
        if (!this.restoring) this.sync.begin(effect.target, effect.source);
        return;
      case "members":
        this.ports.members?.(effect.members, effect.committed);
        return;
      case "status":
        this.statusChanged();
        return;
      case "alarm":
        this.alarm(effect.what);
        return;
      case "stop":
        this.stopped = true;
        this.ports.stop(effect.why);
        return;
      default:
        effect satisfies never;
    }
  }

  private writePrepare(effect: Extract<Effect, { kind: "write_prepare" }>): void {
    const { op, checksum } = effect.prepare.header;
    const startMs = this.ports.nowMs();
    if (this.writeStartMs.size < timedMax) this.writeStartMs.set(op, startMs);
    const written = (): void => {
      this.ports.observe("wal_write", this.ports.nowMs() - startMs);
      this.step({ kind: "prepare_durable", op, checksum });
    };
    // The primary's own write need not be the quickest; its event loop serves everybody.
    const mode = this.replica.primary === this.options.replica ? "queued" : "now";
    this.options.storage.writePrepare(effect.prepare, written, mode);
  }

  private readPrepare(effect: Extract<Effect, { kind: "read_prepare" }>): void {
    const { op, checksum, purpose } = effect;
    this.options.storage.readPrepare(op, checksum, (prepare) => {
      this.step({ kind: "prepare_read", op, checksum, purpose, prepare });
    });
  }

  private writeSuperblock(effect: Extract<Effect, { kind: "write_superblock" }>): void {
    const { sequence, view } = effect.state;
    this.options.storage.writeSuperblock(effect.state, () => {
      if (view > this.viewDurable) this.viewDurable = view;
      this.step({ kind: "superblock_durable", sequence });
    });
  }

  private loadBlocks({ op, addresses }: Extract<Effect, { kind: "load_blocks" }>): void {
    const loaded = (blocks: readonly Uint8Array[] | null): void => {
      // Null only after a state sync, which made this op part of the past.
      if (blocks !== null) this.step({ kind: "blocks_loaded", op, blocks });
    };
    this.blocks.load(addresses, loaded, true);
  }

  private committed(op: Op): void {
    this.counts.prepares += 1;
    this.lastCommitWallMs = this.ports.wallUs() / 1000;
    const startMs = this.writeStartMs.get(op);
    if (startMs !== undefined) {
      this.ports.observe("commit", this.ports.nowMs() - startMs);
      this.writeStartMs.delete(op);
    } else if (this.writeStartMs.size >= timedMax) this.writeStartMs.clear();
    this.clients.pushFacts();
    this.proofs?.committed();
  }

  private statusChanged(): void {
    if (this.replica.view !== this.viewSeen) {
      this.viewSeen = this.replica.view;
      this.counts.viewChanges += 1;
      this.writeStartMs.clear();
    }
    this.clients.announceView();
    this.ports.status();
  }

  private alarm(what: string): void {
    this.counts.alarms += 1;
    this.ports.alarm(what);
  }

  private envelope(): {
    readonly from: ReplicaIndex;
    readonly incarnation: HostOptions["recovered"]["superblock"]["identity"]["incarnation"];
    readonly view: View;
  } {
    const { incarnation } = this.options.recovered.superblock.identity;
    return { from: this.options.replica, incarnation, view: this.viewDurable };
  }

  private askChunk(to: ReplicaIndex, id: CheckpointDescriptor["id"], address: BlockAddress): void {
    this.ports.send(to, { ...this.envelope(), kind: "get_chunk", checkpointId: id, ...address });
  }

  private makeBlockStore(): BlockStore {
    const { storage, hash, replica } = this.options;
    return new BlockStore({
      ...this.timing,
      storage,
      hash,
      nowMs: this.ports.nowMs,
      digestOf: (address) => this.checkpoints.blockDigest(address),
      ownCopy: (address) => this.checkpoints.manifestBlock(address),
      ask: (peer, address) => {
        this.askChunk(replicaFrom((replica + 1 + peer) % 3), this.installed.id, address);
      },
      alarm: (what) => this.alarm(what),
      starved: (starved) => this.step({ kind: "starved", starved }),
    });
  }

  private makeClientDesk(): ClientDesk {
    return new ClientDesk({
      machine: this.options.machine,
      blocks: () => this.blocks,
      step: (event) => this.step(event),
      send: this.ports.toClient,
      view: () => {
        const { view, primary, status } = this.replica;
        return { kind: "view", view, primary, normal: status === "normal" };
      },
      readable: () => !this.restoring,
      prove: (name, question, answer) => {
        if (this.proofs === null) answer({ code: "not_ready" }, new Uint8Array(0));
        else this.proofs.answer(name, question, answer);
      },
      emptyChecksum: this.options.hash(new Uint8Array(0)),
    });
  }

  private makeProofs(): Proofs | null {
    const { proofs, machine, replica } = this.options;
    if (proofs === undefined) return null;
    return new Proofs({
      ...{ ...this.timing, ports: proofs, machine, replica },
      origin: proofs.origin,
      hashTrees: proofs.hashTrees,
      blocks: () => this.blocks,
      ...memberKeys(() => this.replica, proofs.history),
      nowMs: this.ports.nowMs,
      wallUs: this.ports.wallUs,
      broadcast: (cosign) => {
        for (const peer of [1, 2]) {
          const to = replicaFrom((replica + peer) % replicasCount);
          this.ports.send(to, { ...this.envelope(), kind: "cosign", ...cosign });
        }
      },
      alarm: (what) => this.alarm(what),
      pulse: () => this.step({ kind: "pulse" }),
      wake: this.ports.wake,
      later: this.ports.later,
    });
  }

  private makeCheckpoints(
    restored: Extract<Restored, { ok: true }>,
    before: { readonly replaced: readonly string[]; readonly kept: readonly Manifest[] },
  ): Checkpoints {
    const { machine, storage, hash, sealer } = this.options;
    const ports = {
      ...{ machine, storage, hash, sealer },
      blocks: () => this.blocks,
      counts: this.counts,
      durable: (checkpoint: CheckpointDescriptor) => {
        this.source.add(checkpoint);
        this.step({ kind: "checkpoint_durable", checkpoint });
      },
      wake: this.ports.wake,
      head: () => this.replica.head,
      intervalOps: checkpointInterval(this.options.recovered.superblock.identity.walSlotsCount),
    };
    return new Checkpoints(ports, restored.manifest, restored.segments, before);
  }

  private makeStateSync(): StateSync {
    const { storage, hash, syncBytesPerS: bytesPerS } = this.options;
    const ports = {
      ...{ ...this.timing, storage, hash, bytesPerS },
      nowMs: this.ports.nowMs,
      local: () => this.checkpoints.manifest,
      ask: (to: ReplicaIndex, { id }: CheckpointDescriptor, address: BlockAddress) =>
        this.askChunk(to, id, address),
      complete: (target: CheckpointDescriptor, garbage: readonly string[]) => {
        this.restoreTarget(target, garbage);
      },
      failed: (checkpoint: CheckpointDescriptor) => this.step({ kind: "sync_failed", checkpoint }),
      wake: this.ports.wake,
    };
    return new StateSync(ports);
  }

  /** Everything of a peer's checkpoint is durable here: the machine becomes that state. */
  private restoreTarget(target: CheckpointDescriptor, garbage: readonly string[]): void {
    assert(!this.restoring, "SRV-06: one restore at a time");
    this.restoring = true;
    restoreMachine({ ...this.restoreOptions(), checkpoint: target }, (restored) => {
      if (!restored.ok) {
        this.stopped = true;
        this.ports.stop(unreadTarget(restored));
        return;
      }
      this.restoring = false;
      this.proofs?.restored();
      const live = new Set(liveSegmentIds(restored.manifest));
      const left = [...this.checkpoints.retire(), ...garbage].filter((id) => !live.has(id));
      this.checkpoints = this.makeCheckpoints(restored, { replaced: left, kept: [] });
      this.installed = target;
      this.source.add(target);
      this.step({ kind: "sync_done", checkpoint: target, sessions: restored.sessions });
      this.blocks.forget();
    });
  }

  private restoreOptions() {
    const { storage, hash, genesisManifest, machine, ports } = this.options;
    return { storage, hash, genesisManifest, sink: machine, later: ports.later };
  }
}
