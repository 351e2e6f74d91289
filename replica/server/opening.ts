import { opFrom, type ReplicaIndex, replicaFrom } from "#replica/base/brands.ts";
import { completeTiming, type Timing } from "#replica/base/timing.ts";
import type { Manifest } from "#replica/snapshot/manifest.ts";
import type { BlockAddress } from "#replica/snapshot/port.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import { ChunkSource } from "./chunk-source.ts";
import type { HostOptions } from "./host-options.ts";
import { StateSync } from "./state-sync.ts";

/** Tries of a sync's patience each, turn about at both peers, before a block counts as lost. */
const triesMax = 6;
/** Segments of one checkpoint that may be fetched again; more is a disk to be replaced. */
const damagedMax = 64;

const nothing: Manifest = {
  op: opFrom(0),
  sequence: 0,
  state: new Uint8Array(0),
  merges: [],
  segments: [],
};

/**
 * A replica that cannot become a host yet because its own checkpoint is damaged on its disk: it
 * fetches what is damaged from its peers, which hold the same checkpoint or at least its segments,
 * and answers theirs meanwhile. It takes no part in consensus.
 */
export class Opening {
  private readonly options: HostOptions;
  private readonly timing: Timing;
  private readonly source: ChunkSource;
  private readonly sync: StateSync;
  private readonly damaged = new Set<string>();
  private readonly heardAtMs = new Map<ReplicaIndex, number>();
  private manifest: Manifest | null = null;
  private here: ReadonlySet<string> = new Set();
  private tries = 0;
  private ended: (whole: boolean) => void = () => undefined;

  /** Nothing is asked for until {@link mend}. */
  constructor(options: HostOptions) {
    const { storage, hash, genesisManifest, ports } = options;
    this.options = options;
    this.timing = completeTiming(options.timing);
    this.source = new ChunkSource(storage, genesisManifest);
    this.source.add(options.recovered.superblock.checkpoint);
    this.sync = new StateSync({
      ...this.timing,
      storage,
      hash,
      nowMs: ports.nowMs,
      local: () => nothing,
      known: () => ({ manifest: this.manifest, here: this.here }),
      ask: (to, _target, address) => this.ask(to, address),
      complete: () => this.ended(true),
      failed: () => this.failed(),
      wake: ports.wake,
    });
  }

  /** When {@link onTimer} is wanted, monotonic ms; Infinity = never. */
  get deadlineMs(): number {
    return this.sync.deadlineMs;
  }

  /** The deadline has passed. */
  onTimer(): void {
    this.sync.tick(this.options.ports.nowMs());
  }

  /** An authenticated frame of a peer: only chunks matter. */
  onPeerMessage(message: PeerMessage): void {
    const { ports } = this.options;
    this.heardAtMs.set(message.from, ports.nowMs());
    if (message.kind === "chunk") {
      this.sync.receive(message.checkpointId, message.segment, message.block, message.bytes);
    } else if (message.kind === "get_chunk") {
      this.source.serve(message, ports.nowMs(), (chunk) => {
        ports.send(message.from, { ...this.envelope(), kind: "chunk", ...chunk });
      });
    }
  }

  /**
   * Fetches the segment of that block again; its checkpoint's manifest, when that could be read.
   * `done(false)`: both peers are there and do not give it, or it came and is damaged again.
   */
  mend(address: BlockAddress, manifest: Manifest | null, done: (whole: boolean) => void): void {
    const { segment } = address;
    if (this.damaged.has(segment) || this.damaged.size >= damagedMax) {
      done(false);
      return;
    }
    const where = `block ${address.block} of segments/${segment}`;
    this.options.ports.alarm(`${where} is damaged; the start waits for a peer's copy of it`);
    this.damaged.add(segment);
    this.manifest = manifest;
    this.tries = 0;
    this.ended = done;
    this.options.storage.listSegments((ids) => {
      this.here = new Set(ids.filter((id) => id !== segment));
      this.begin();
    });
  }

  private begin(): void {
    const { recovered, replica } = this.options;
    const source = replicaFrom((replica + 1 + (this.tries % 2)) % 3);
    this.sync.begin(recovered.superblock.checkpoint, source);
  }

  private failed(): void {
    const { ports, replica } = this.options;
    this.tries += 1;
    const nowMs = ports.nowMs();
    const heard = [1, 2].every((peer) => {
      const atMs = this.heardAtMs.get(replicaFrom((replica + peer) % 3));
      return atMs !== undefined && atMs > nowMs - this.timing.peerHeardMs;
    });
    if (heard && this.tries >= triesMax) this.ended(false);
    else this.begin();
  }

  private ask(to: ReplicaIndex, { segment, block }: BlockAddress): void {
    const { ports, recovered } = this.options;
    const { checkpoint } = recovered.superblock;
    const ask = { kind: "get_chunk", checkpointId: checkpoint.id, segment, block } as const;
    ports.send(to, { ...this.envelope(), ...ask });
  }

  private envelope() {
    const { recovered, replica } = this.options;
    const { identity, view } = recovered.superblock;
    return { from: replica, incarnation: identity.incarnation, view };
  }
}
