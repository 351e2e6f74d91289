import { assert } from "#replica/base/assert.ts";
import type { Checksum, Op } from "#replica/base/brands.ts";
import type { ChatMachine } from "#replica/machine/chat-machine.ts";
import { CheckpointWriter } from "#replica/snapshot/checkpoint-writer.ts";
import type { WriterCounts } from "#replica/snapshot/checkpoint-writer.ts";
import {
  encodeManifest,
  liveSegmentIds,
  type Manifest,
  manifestSegmentId,
  manifestWrite,
} from "#replica/snapshot/manifest.ts";
import type { BlockAddress, Hash } from "#replica/snapshot/port.ts";
import type { SegmentIndex } from "#replica/snapshot/segment-index.ts";
import type { Effect } from "#replica/vsr/effect.ts";
import type { Sealer } from "#replica/vsr/port.ts";
import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import type { Storage } from "#replica/wire/storage-port.ts";
import type { BlockStore } from "./block-store.ts";
import type { HostCounts } from "./host-options.ts";

type WriteCheckpoint = Extract<Effect, { kind: "write_checkpoint" }>;

/** Bytes of one slice of checkpoint work: about 0.2 ms. */
export const sliceBytes = 32 * 1024;
/** Slices in one while a merge is late for its checkpoint, and for each eighth that it is late. */
const lateSlices = 2;
const lateSlicesMax = 4;

/** What checkpoints need of their host. */
export interface CheckpointsPorts {
  readonly machine: ChatMachine;
  readonly storage: Storage;
  readonly hash: Hash;
  readonly sealer: Sealer;
  readonly blocks: () => BlockStore;
  /** Counts checkpoints, merges and sweeps. */
  readonly counts: Pick<HostCounts, "checkpoints"> & WriterCounts;
  readonly durable: (checkpoint: CheckpointDescriptor) => void;
  /** Newest op of the log; ops between two checkpoints. */
  readonly head: () => Op;
  readonly intervalOps: number;
  /** There is work again for {@link Checkpoints.work}. */
  readonly wake: () => void;
}

/**
 * Writes checkpoints in bounded slices and merges segments at leisure; the only user of
 * CheckpointWriter. One instance a restored state: state sync starts a new one.
 */
export class Checkpoints {
  private readonly ports: CheckpointsPorts;
  private readonly writer: CheckpointWriter;
  private readonly begun = new Map<number, WriteCheckpoint>();
  private garbage: { readonly id: string; readonly loadNext: number }[] = [];
  /** Garbage of the state that a sync replaced, until the superblock names the new one. */
  private replaced: readonly string[];
  /** Manifests of checkpoints before the restored one that a peer may still sync to, by op. */
  private kept: readonly Manifest[];
  private retired = false;
  /** Op whose manifest is on disk and will be garbage after the next installation. */
  private manifestOp: Op;
  private readonly baseOp: Op;
  /** Segments of the restored checkpoint. */
  private readonly base: ReadonlySet<string>;
  /** True while the next slice would do something. */
  workWanted = true;

  /**
   * `manifest` and `segments`: what the Restorer gave. `before`: segments that go once this
   * state's checkpoint is installed, and checkpoints of which each goes when the next one is.
   */
  constructor(
    ports: CheckpointsPorts,
    manifest: Manifest,
    segments: readonly SegmentIndex[],
    before: { readonly replaced: readonly string[]; readonly kept: readonly Manifest[] },
  ) {
    this.ports = ports;
    const { hash, counts } = ports;
    const { sweeper } = ports.machine;
    this.writer = new CheckpointWriter({ hash, manifest, segments, sweeper, counts });
    this.manifestOp = manifest.op;
    this.baseOp = manifest.op;
    this.replaced = before.replaced;
    this.kept = before.kept;
    this.base = new Set(liveSegmentIds(manifest));
  }

  /** True while a checkpoint, not only a merge, is being written. */
  get urgent(): boolean {
    return this.writer.urgent;
  }

  /** Manifest of the newest checkpoint: all that it names is durable here. */
  get manifest(): Manifest {
    return this.writer.newest;
  }

  /** Segments that wait for their removal. */
  get garbageCount(): number {
    return this.garbage.length;
  }

  /** Digest of a block of a live segment, or null. */
  blockDigest(address: BlockAddress): Checksum | null {
    return this.writer.blockDigest(address);
  }

  /** A block of a manifest of ours, made again from memory; null: not of a kept checkpoint. */
  manifestBlock({ segment, block }: BlockAddress): Uint8Array | null {
    const known = [...this.kept, ...this.writer.manifests];
    const manifest = known.find(({ op }) => op > 0 && manifestSegmentId(op) === segment);
    if (manifest === undefined) return null;
    return manifestWrite(manifest.op, encodeManifest(manifest)).blocks[block] ?? null;
  }

  /** Begins the checkpoint that the machine has just frozen. */
  begin(effect: WriteCheckpoint): void {
    this.begun.set(effect.op, effect);
    this.writer.begin(this.ports.machine.frozen(effect.op), effect.sessions);
    this.workWanted = true;
  }

  /** One slice. Afterwards {@link workWanted} says whether another is wanted. */
  work(): void {
    const { intervalOps, head } = this.ports;
    // A merge that is not done when its checkpoint comes holds it up, and the ring runs full.
    const late = this.writer.mergesLate(Math.max(0, head() - this.manifest.op) / intervalOps);
    const slices = late <= 0 ? 1 : Math.min(lateSlicesMax, lateSlices + Math.floor(late * 8));
    const step = this.writer.step(slices * sliceBytes);
    switch (step.kind) {
      case "idle":
      case "waiting":
        this.workWanted = false;
        return;
      case "more":
        return;
      case "write":
        this.ports.storage.writeSegment(step.segment.id, step.segment.blocks, () => {
          this.writer.written(step.segment.id);
          this.resume();
        });
        return;
      case "read":
        this.ports.blocks().load(step.addresses, (blocks) => this.loaded(blocks), true);
        return;
      case "ready":
        this.writeManifest(step.op, step.root, step.manifest);
        return;
      default:
        step satisfies never;
    }
  }

  private loaded(blocks: readonly Uint8Array[] | null): void {
    if (this.retired || blocks === null) return;
    this.writer.loaded(blocks);
    this.resume();
  }

  /** The superblock names nothing older: older segments may go, the delta leaves memory. */
  installed(checkpoint: CheckpointDescriptor): void {
    this.release(checkpoint.op);
    if (checkpoint.op < this.baseOp) return;
    this.discard(this.replaced);
    this.replaced = [];
    if (checkpoint.op === this.baseOp) return;
    const installed = this.writer.installed(checkpoint.op);
    this.ports.machine.release(checkpoint.op, installed.history);
    this.discard(installed.garbage);
    if (this.manifestOp > 0) this.discard([manifestSegmentId(this.manifestOp)]);
    this.manifestOp = checkpoint.op;
    this.resume();
  }

  /** Checkpoints older than this one are needed by nobody, nor what only they name. */
  private release(op: Op): void {
    const gone = this.kept.filter((manifest) => manifest.op < op);
    if (gone.length === 0) return;
    this.kept = this.kept.filter((manifest) => manifest.op >= op);
    const named = new Set(this.kept.flatMap((manifest) => liveSegmentIds(manifest)));
    const ids = new Set(gone.flatMap((manifest) => liveSegmentIds(manifest)));
    this.discard([...ids].filter((id) => !named.has(id) && !this.base.has(id)));
  }

  /**
   * State sync has replaced the state: what is still being written here no longer counts. Gives
   * the segments that wait for their removal or for that of their checkpoint.
   */
  retire(): readonly string[] {
    this.retired = true;
    this.workWanted = false;
    const kept = this.kept.flatMap((manifest) => liveSegmentIds(manifest));
    return [...this.garbage.map(({ id }) => id), ...this.replaced, ...kept];
  }

  /**
   * Removes what nothing refers to and no load reads any more; called when no peer is fetching.
   * Some may be left.
   */
  collect(): void {
    const { loadOldest } = this.ports.blocks();
    const free = this.garbage.filter((one) => one.loadNext <= loadOldest);
    if (free.length === 0) return;
    this.garbage = this.garbage.filter((one) => one.loadNext > loadOldest);
    const ids = free.map((one) => one.id);
    this.ports.storage.removeSegments(ids, () => undefined);
  }

  private discard(ids: readonly string[]): void {
    const { loadNext } = this.ports.blocks();
    for (const id of ids) this.garbage.push({ id, loadNext });
  }

  private resume(): void {
    if (this.retired) return;
    this.workWanted = true;
    this.ports.wake();
  }

  private writeManifest(op: Op, root: Checksum, manifest: Uint8Array): void {
    const begun = this.begun.get(op);
    assert(begun !== undefined, "SRV-04: a finished checkpoint was begun here");
    this.begun.delete(op);
    const { parentId, opChecksum } = begun;
    const segment = manifestWrite(op, manifest);
    const id = this.ports.sealer.checkpointId(root, parentId, op, opChecksum);
    this.ports.storage.writeSegment(segment.id, segment.blocks, () => {
      if (this.retired) return;
      const manifestBytes = manifest.length;
      this.ports.counts.checkpoints += 1;
      this.ports.durable({ id, parentId, op, opChecksum, root, manifestBytes });
    });
  }
}
