import { assert } from "#replica/base/assert.ts";
import { opFrom } from "#replica/base/brands.ts";
import type { Checksum, Op } from "#replica/base/brands.ts";
import { entryBytesMax, entryPrefixBytes } from "#replica/wire/entry.ts";
import { runHeaderBytes } from "#replica/wire/history-block.ts";
import { BlockPool } from "./block-pool.ts";
import { mergeLag, nextManifest } from "./compaction.ts";
import type { Manifest, ManifestSegment } from "./manifest.ts";
import { encodeManifest, manifestRoot, manifestSegmentId } from "./manifest.ts";
import { Merge } from "./merge.ts";
import type { BlockAddress, FrozenDelta, Hash, SegmentWrite, Sweeper } from "./port.ts";
import { goneOfCell, isCellRow, roomRowBytes, sweepDue } from "./port.ts";
import type { BuiltSegment } from "./segment-builder.ts";
import { SegmentBuilder } from "./segment-builder.ts";
import type { SegmentIndex } from "./segment-index.ts";
import { blockBytesMax } from "./segment-index.ts";
import { Sweep } from "./sweep.ts";

/** What {@link CheckpointWriter.step} wants next. */
export type WriterStep =
  /** Nothing to do before the next `begin`. */
  | { readonly kind: "idle" }
  /** Work is left; call again, after other events had their turn. */
  | { readonly kind: "more" }
  /** Waits for writes or reads that were handed out. */
  | { readonly kind: "waiting" }
  /** Make this segment durable, then call `written(id)`. Further steps may be taken meanwhile. */
  | { readonly kind: "write"; readonly segment: SegmentWrite }
  /**
   * Load these blocks (for a merge), then call `loaded(blocks)` in this order. Further steps may be
   * taken meanwhile.
   */
  | { readonly kind: "read"; readonly addresses: readonly BlockAddress[] }
  /**
   * Every segment of the checkpoint is durable. Make the manifest durable (`manifestWrite(op,
   * bytes)` is the segment for it), then report checkpoint_durable with `root`, manifestBytes =
   * bytes.length and id = sealer.checkpointId(…). Given once a checkpoint.
   */
  | {
      readonly kind: "ready";
      readonly op: Op;
      readonly root: Checksum;
      readonly manifest: Uint8Array;
    };

/** What an installed checkpoint changes for the host. */
export interface Installed {
  /** For `machine.release(op, history)`. */
  readonly history: readonly SegmentIndex[];
  /**
   * Segments that the last two checkpoints do not refer to: `storage.removeSegments(garbage)`.
   * After a restart remove whatever `liveSegmentIds` of the restored manifest does not name.
   */
  readonly garbage: readonly string[];
}

interface Active {
  readonly delta: FrozenDelta;
  readonly sessions: Uint8Array;
  readonly builder: SegmentBuilder;
  readonly built: BuiltSegment[];
  /** Segments that may hold entries that this delta says are redacted or dropped. */
  readonly marks: Set<string>;
  /** True when such entries may be in the delta itself. */
  marked: boolean;
  section: number;
  sessionsAt: number;
}

const deltaSections = ["history", "rooms", "keys"] as const;
/** Segments handed out and not yet written at which merges pause. */
const unwrittenMax = 4;
/** Buffers of blocks kept for the next segment: two segments of 16 MiB. */
const freeBlocksMax = 1024;

/** What a writer has done, as counters; each at the checkpoint that takes the result. */
export interface WriterCounts {
  /** Groups of segments made into one. */
  merges: number;
  /** Segments that a sweep looked at, those that it wrote again, bytes of entries left out. */
  sweeps: number;
  sweptSegments: number;
  sweptBytes: number;
}

/** Turns frozen deltas into immutable segments, merges them, keeps the manifest. Pure. */
export class CheckpointWriter {
  private readonly counts: WriterCounts;
  private readonly hash: Hash;
  private readonly blockBytes: number;
  private readonly segmentBytes: number;
  private manifest: Manifest;
  private readonly indexes = new Map<string, SegmentIndex>();
  private readonly queue: { delta: FrozenDelta; sessions: Uint8Array }[] = [];
  private active: Active | null = null;
  private readonly merges: Merge[] = [];
  private readonly sweeps: Sweep[] = [];
  private readonly sweeper: Sweeper | null;
  /** Segments built and not yet handed out. */
  private readonly outbox: SegmentWrite[] = [];
  private readonly unwritten = new Map<string, readonly Uint8Array[]>();
  private readonly pool: BlockPool;
  /** The merge whose blocks are being loaded. */
  private reading: Merge | Sweep | null = null;
  /** Manifests that are ready and not yet installed, oldest first. */
  private readonly ready: Manifest[] = [];
  private installedManifest: Manifest;
  private garbageNext: readonly string[] = [];

  /** Starts from the state on disk: the Restorer gives both (genesis: decoded manifest, []). */
  constructor(options: {
    readonly hash: Hash;
    readonly manifest: Manifest;
    readonly segments: readonly SegmentIndex[];
    /** Bytes of a data block at most, ≤ 64 KiB; default 32 KiB. Equal on all replicas. */
    readonly blockBytes?: number;
    /** Bytes of one segment at most; default 16 MiB. Equal on all replicas. */
    readonly segmentBytes?: number;
    /** The machine's; without one no delta may have a phase of a sweep. */
    readonly sweeper?: Sweeper;
    /** Counts on here, so that they survive a writer. */
    readonly counts?: WriterCounts;
  }) {
    this.counts = options.counts ?? { merges: 0, sweeps: 0, sweptSegments: 0, sweptBytes: 0 };
    this.hash = options.hash;
    this.sweeper = options.sweeper ?? null;
    this.blockBytes = options.blockBytes ?? 32 * 1024;
    this.segmentBytes = options.segmentBytes ?? 16 * 1024 * 1024;
    assert(this.blockBytes <= blockBytesMax, "SNP-04: block size");
    const least = runHeaderBytes + entryPrefixBytes + entryBytesMax;
    assert(this.blockBytes >= least, "SNP-04: a block holds the largest entry");
    this.pool = new BlockPool(this.blockBytes, freeBlocksMax);
    this.manifest = options.manifest;
    this.installedManifest = options.manifest;
    for (const segment of options.segments) this.indexes.set(segment.id, segment);
    this.startMerges();
    this.startSweeps();
  }

  /** Manifest of the newest checkpoint: every segment that it names is durable. */
  get newest(): Manifest {
    return this.manifest;
  }

  /** Manifests from the installed one to the newest, oldest first. */
  get manifests(): readonly Manifest[] {
    return [this.installedManifest, ...this.ready];
  }

  /** True while a checkpoint is being written: step at once. False: merges only, at leisure. */
  get urgent(): boolean {
    return this.active !== null || this.queue.length > 0;
  }

  /**
   * How late merges are: by how much the share of its work that a merge has done is smaller than
   * what has passed of the checkpoints up to the one that must have it. Above 0 = late. `passed`:
   * of the way from the newest checkpoint to the next, ≥ 0.
   */
  mergesLate(passed: number): number {
    const now = this.manifest.sequence + passed;
    let late = 0;
    for (const { done, record, progress } of this.merges) {
      const lag = mergeLag(record.level);
      if (!done) late = Math.max(late, (now - (record.due - lag)) / lag - progress);
    }
    return late;
  }

  /** Begins the checkpoint of this delta (effect write_checkpoint); queued behind one under way. */
  begin(delta: FrozenDelta, sessions: Uint8Array): void {
    const before = this.queue.at(-1)?.delta ?? this.active?.delta;
    assert(delta.op > (before?.op ?? this.manifest.op), "SNP-01: checkpoints in order");
    this.queue.push({ delta, sessions });
  }

  /** Does at most about `bytesMax` bytes of work (64 KiB ≈ 0.3 ms) and says what is wanted. */
  step(bytesMax: number): WriterStep {
    const write = this.outbox.shift();
    if (write !== undefined) return { kind: "write", segment: write };
    this.active ??= this.nextActive();
    const { active } = this;
    if (active !== null && active.section <= deltaSections.length) {
      this.build(active, bytesMax);
      return { kind: "more" };
    }
    const due = active === null ? undefined : (this.mergeDue() ?? this.sweepDue(active));
    if (active !== null && due === undefined) {
      return this.unwritten.size > 0 ? { kind: "waiting" } : this.finish(active);
    }
    const open = <T extends { readonly done: boolean }>(one: T): boolean => !one.done;
    const next = due ?? this.sweeps.find(open) ?? this.merges.find(open);
    return next === undefined ? { kind: "idle" } : this.stepMerge(next, bytesMax);
  }

  private nextActive(): Active | null {
    const next = this.queue.shift();
    if (next === undefined) return null;
    const group = { level: 0, opFirst: this.manifest.op + 1, opLast: next.delta.op };
    const builder = new SegmentBuilder(this.hash, group, this.segmentBytes);
    const marks = new Set<string>();
    return { ...next, builder, built: [], marks, marked: false, section: 0, sessionsAt: 0 };
  }

  /** A segment whose sweep the checkpoint under way must have and that is not done. */
  private sweepDue(active: Active): Sweep | undefined {
    if (active.delta.sweepPhase !== sweepDue) return undefined;
    return this.sweeps.find((sweep) => !sweep.done);
  }

  /** A merge that the checkpoint under way must have and that is not done. */
  private mergeDue(): Merge | undefined {
    const sequence = this.manifest.sequence + 1;
    return this.merges.find((merge) => merge.record.due === sequence && !merge.done);
  }

  private build(active: Active, bytesMax: number): void {
    for (let done = 0; done < bytesMax; ) {
      const section = deltaSections[active.section];
      const bytes =
        section === undefined ? this.buildSessions(active) : this.buildSection(active, section);
      if (bytes === 0) {
        active.section += 1;
        if (active.section > deltaSections.length) {
          this.take(active.builder.finish(), active.built);
          return;
        }
      }
      done += bytes;
    }
  }

  private buildSection(active: Active, section: "history" | "rooms" | "keys"): number {
    const buffer = this.pool.take();
    const used = active.delta.fill(section, buffer);
    const full = used * 4 >= this.blockBytes * 3;
    const block = full ? buffer.subarray(0, used) : buffer.slice(0, used);
    if (!full) this.pool.give(buffer);
    if (used === 0) return 0;
    if (section === "rooms" && active.delta.sweepPhase >= 0) this.mark(active, block);
    this.take(active.builder.add(section, block), active.built);
    return used;
  }

  /** Marks the segments of entries that these rows of cells say are redacted or dropped. */
  private mark(active: Active, block: Uint8Array): void {
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    for (let at = 0; at < block.length; at += roomRowBytes(view, at)) {
      const gone = isCellRow(view, at) ? goneOfCell(view, at) : null;
      if (gone === null) continue;
      active.marked = true;
      for (const { id } of this.manifest.segments) {
        const index = this.indexOf(id);
        const hit =
          gone.kind === "redacted"
            ? index.locate(gone.room, gone.seq) >= 0
            : index.hasBelow(gone.room, gone.seq);
        if (hit) active.marks.add(id);
      }
    }
  }

  private buildSessions(active: Active): number {
    const { sessions, sessionsAt } = active;
    const block = sessions.subarray(sessionsAt, sessionsAt + this.blockBytes);
    if (block.length === 0) return 0;
    this.take(active.builder.add("sessions", block), active.built);
    active.sessionsAt += block.length;
    return block.length;
  }

  private take(built: BuiltSegment | null, list: BuiltSegment[]): void {
    if (built === null) return;
    list.push(built);
    this.handOut(built);
  }

  private handOut(built: BuiltSegment): void {
    this.indexes.set(built.entry.id, built.index);
    this.unwritten.set(built.entry.id, built.write.blocks);
    this.outbox.push(built.write);
  }

  private stepMerge(merge: Merge | Sweep, bytesMax: number): WriterStep {
    if (this.unwritten.size >= unwrittenMax) return { kind: "waiting" };
    const { reading } = this;
    if (reading !== null && (reading !== merge || merge.waiting)) return { kind: "waiting" };
    const before = merge.built.length;
    const addresses = merge.step(bytesMax);
    for (const built of merge.built.slice(before)) this.handOut(built);
    if (addresses.length === 0) return { kind: "more" };
    this.reading = merge;
    return { kind: "read", addresses };
  }

  private finish(active: Active): WriterStep {
    const entries = active.built.map((built) => built.entry);
    const { delta, marks } = active;
    if (active.marked) for (const { id } of entries) marks.add(id);
    const { state, keyFloorMs, sweepPhase } = delta;
    const op = opFrom(delta.op);
    const due = this.merges.filter((merge) => merge.record.due === this.manifest.sequence + 1);
    const results = due.map((merge) => {
      return { record: merge.record, segments: merge.built.map((built) => built.entry) };
    });
    const swept = new Map<string, ManifestSegment>();
    if (sweepPhase === sweepDue) {
      for (const { index, built, goneBytes } of this.sweeps.splice(0)) {
        this.counts.sweeps += 1;
        if (built[0] === undefined) continue;
        swept.set(index.id, built[0].entry);
        this.counts.sweptSegments += 1;
        this.counts.sweptBytes += goneBytes;
      }
    }
    this.counts.merges += due.length;
    const change = { op, state, keyFloorMs, entries, results, marks, sweepPhase, swept };
    this.manifest = nextManifest(this.manifest, change);
    for (const merge of due) this.merges.splice(this.merges.indexOf(merge), 1);
    this.ready.push(this.manifest);
    this.active = null;
    this.startMerges();
    if (sweepPhase === 0) this.startSweeps();
    const manifest = encodeManifest(this.manifest);
    return { kind: "ready", op, root: manifestRoot(manifest, this.hash), manifest };
  }

  private startMerges(): void {
    for (const record of this.manifest.merges) {
      if (this.merges.some((merge) => merge.record.level === record.level)) continue;
      const inputs = this.manifest.segments
        .filter(({ level, opLast }) => level === record.level && opLast <= record.opLast)
        .map((segment) => this.indexOf(segment.id));
      const { hash, pool, segmentBytes } = this;
      this.merges.push(new Merge({ hash, record, inputs, pool, segmentBytes }));
    }
    this.merges.sort((a, b) => a.record.due - b.record.due || a.record.level - b.record.level);
  }

  private startSweeps(): void {
    const { hash, pool, sweeper } = this;
    for (const { id, sweeping } of this.manifest.segments) {
      if (!sweeping) continue;
      assert(sweeper !== null, "SNP-11: the machine says what a sweep leaves");
      this.sweeps.push(new Sweep({ hash, index: this.indexOf(id), pool, sweeper }));
    }
  }

  private indexOf(id: string): SegmentIndex {
    const index = this.indexes.get(id);
    assert(index !== undefined, "SNP-03: a live segment has its index in memory");
    return index;
  }

  /** The segment of a `write` step is durable. */
  written(id: string): void {
    const blocks = this.unwritten.get(id);
    assert(blocks !== undefined, "SNP-02: a write completes once");
    this.unwritten.delete(id);
    for (const block of blocks) this.pool.give(block);
  }

  /** Blocks of a `read` step, in its order, all present (repair a damaged one first). */
  loaded(blocks: readonly Uint8Array[]): void {
    assert(this.reading !== null, "SNP-06: blocks as asked for");
    this.reading.loaded(blocks);
    this.reading = null;
  }

  /** Effect checkpoint_installed of this op. */
  installed(op: Op): Installed {
    const manifest = this.ready.shift();
    assert(manifest !== undefined && manifest.op === op, "SNP-02: installed as made ready");
    const history = manifest.segments.map((segment) => this.indexOf(segment.id));
    const live = new Set(manifest.segments.map((segment) => segment.id));
    const garbage = this.garbageNext;
    const dropped = this.installedManifest.segments.filter((segment) => !live.has(segment.id));
    const ids = dropped.map((segment) => segment.id);
    this.garbageNext = [manifestSegmentId(this.installedManifest.op), ...ids];
    this.installedManifest = manifest;
    for (const id of garbage) {
      assert(!live.has(id), "SNP-07: garbage is not referred to");
      this.indexes.delete(id);
    }
    return { history, garbage };
  }

  /** Digest that a block of a known segment must have; null when the segment is not known. */
  blockDigest(address: BlockAddress): Checksum | null {
    return this.indexes.get(address.segment)?.blockDigest(address.block) ?? null;
  }
}
