import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import type { Manifest } from "#replica/snapshot/manifest.ts";
import { manifestSegmentId } from "#replica/snapshot/manifest.ts";
import type { BlockAddress, Hash } from "#replica/snapshot/port.ts";
import { SyncSession } from "#replica/snapshot/sync-session.ts";
import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import type { Storage } from "#replica/wire/storage-port.ts";

/** Chunks asked for and not answered at most: about 1 MiB, so that the log keeps its share. */
export const chunksInFlightMax = 16;
/** Bytes a second that a sync fetches at most, unless configured: 10 GiB take 205 s. */
export const syncBytesPerSDefault = 50 * 1024 * 1024;
/** Bytes that may come at once. */
const burstBytes = chunksInFlightMax * 64 * 1024;

/** What state sync needs of its host. */
export interface StateSyncPorts {
  readonly storage: Storage;
  readonly hash: Hash;
  readonly nowMs: () => number;
  /** Bytes a second at most; default {@link syncBytesPerSDefault}. */
  readonly bytesPerS?: number | undefined;
  /** Without an answer for this long, chunks are asked for again, ms. */
  readonly chunkRetryMs: number;
  /**
   * Without any progress for this long the sync fails and consensus names the newest checkpoint,
   * ms: a source is silent about what it no longer has.
   */
  readonly syncPatienceMs: number;
  /** Manifest of this replica's newest checkpoint: all that it names is durable here. */
  readonly local: () => Manifest;
  /** While opening: the target's manifest if it is known, and ids of segments that lie here. */
  readonly known?: () => { readonly manifest: Manifest | null; readonly here: ReadonlySet<string> };
  readonly ask: (source: ReplicaIndex, target: CheckpointDescriptor, address: BlockAddress) => void;
  /** Everything of the target is durable here. `garbage`: segments that it does not name. */
  readonly complete: (target: CheckpointDescriptor, garbage: readonly string[]) => void;
  readonly failed: (target: CheckpointDescriptor) => void;
  readonly wake: () => void;
}

/** One fetching of a peer's checkpoint, as far as it got. */
interface Fetch {
  readonly target: CheckpointDescriptor;
  readonly session: SyncSession;
  source: ReplicaIndex;
  retryAtMs: number;
  /** When more may be asked for, ms. */
  paceAtMs: number;
  progressAtMs: number;
  fetched: number;
}

/** Fetches checkpoints from peers; what one sync made durable, the next does not fetch again. */
export class StateSync {
  private readonly ports: StateSyncPorts;
  /** Segments that unfinished syncs have made durable: the next one does not fetch them. */
  private kept: Manifest["segments"] = [];
  private fetch: Fetch | null = null;
  private readonly written = new Set<string>();
  private readonly bytesPerMs: number;
  /** Bytes that may come now; below zero after more came than might. */
  private credit = burstBytes;
  private creditAtMs: number;

  /** Nothing is fetched until {@link begin}. */
  constructor(ports: StateSyncPorts) {
    this.ports = ports;
    this.bytesPerMs = (ports.bytesPerS ?? syncBytesPerSDefault) / 1000;
    assert(this.bytesPerMs > 0, "SRV-08: a sync moves");
    this.creditAtMs = ports.nowMs();
  }

  /** True while a checkpoint is being fetched. */
  get active(): boolean {
    return this.fetch !== null;
  }

  /** Blocks fetched and left of the sync under way, or null. */
  get progress(): { readonly fetched: number; readonly left: number } | null {
    return this.fetch?.session.progress ?? null;
  }

  /** When {@link tick} is wanted, ms; Infinity = never. */
  get deadlineMs(): number {
    const { fetch } = this;
    if (fetch === null) return Number.POSITIVE_INFINITY;
    return Math.min(fetch.retryAtMs, fetch.paceAtMs);
  }

  /** Effect sync: a new target replaces the old one; the same target may name another source. */
  begin(target: CheckpointDescriptor, source: ReplicaIndex): void {
    const nowMs = this.ports.nowMs();
    if (this.fetch !== null && this.fetch.target.id === target.id) {
      this.fetch.source = source;
    } else {
      this.keepWritten();
      // What is durable here is never written again: a crash meanwhile would lose what it was.
      const { kept } = this;
      const local = this.ports.local();
      const session = new SyncSession({
        hash: this.ports.hash,
        target,
        local,
        durable: kept,
        ...this.ports.known?.(),
      });
      const times = { retryAtMs: 0, paceAtMs: Number.POSITIVE_INFINITY, progressAtMs: nowMs };
      this.fetch = { target, session, source, ...times, fetched: 0 };
    }
    this.pump(nowMs);
  }

  /** A chunk came from a peer. */
  receive(checkpointId: string, segment: string, block: number, bytes: Uint8Array): void {
    const fetch = this.fetch;
    if (fetch === null || fetch.target.id !== checkpointId) return;
    if (fetch.session.receive(segment, block, bytes.slice()) !== "ok") return;
    const nowMs = this.ports.nowMs();
    fetch.progressAtMs = nowMs;
    this.credit -= bytes.length;
    this.write(fetch);
    this.pump(nowMs);
  }

  /** Asks again, or gives up. */
  tick(nowMs: number): void {
    const fetch = this.fetch;
    if (fetch === null || nowMs < this.deadlineMs) return;
    if (nowMs < fetch.retryAtMs) {
      this.pump(nowMs);
      return;
    }
    if (nowMs - fetch.progressAtMs >= this.ports.syncPatienceMs) {
      this.keepWritten();
      this.fetch = null;
      this.ports.failed(fetch.target);
      return;
    }
    fetch.session.forgetAsked();
    this.pump(nowMs);
  }

  private pump(nowMs: number): void {
    const fetch = this.fetch;
    if (fetch === null) return;
    fetch.retryAtMs = nowMs + this.ports.chunkRetryMs;
    fetch.paceAtMs = Number.POSITIVE_INFINITY;
    const earned = (nowMs - this.creditAtMs) * this.bytesPerMs;
    this.credit = Math.min(burstBytes, this.credit + earned);
    this.creditAtMs = nowMs;
    if (this.credit <= 0 && !fetch.session.complete) {
      // A slow pace is no lack of progress.
      fetch.paceAtMs = nowMs + Math.ceil(1 - this.credit / this.bytesPerMs);
      fetch.progressAtMs = Math.max(fetch.progressAtMs, fetch.paceAtMs);
      fetch.retryAtMs = Math.max(fetch.retryAtMs, fetch.paceAtMs + 1);
      return;
    }
    for (const address of fetch.session.wants(chunksInFlightMax)) {
      this.ports.ask(fetch.source, fetch.target, address);
    }
    this.finish(fetch);
  }

  private write(fetch: Fetch): void {
    for (const segment of fetch.session.takeWrites()) {
      this.ports.storage.writeSegment(segment.id, segment.blocks, () => {
        fetch.session.written(segment.id);
        this.written.add(segment.id);
        if (this.fetch === fetch) this.pump(this.ports.nowMs());
        this.ports.wake();
      });
    }
  }

  private finish(fetch: Fetch): void {
    if (!fetch.session.complete || this.fetch !== fetch) return;
    const { manifest } = fetch.session;
    assert(manifest !== null, "SRV-05: a complete sync has its manifest");
    const kept = new Set(manifest.segments.map((segment) => segment.id));
    kept.add(manifestSegmentId(manifest.op));
    const local = this.ports.local();
    const ours = [...local.segments, ...this.kept].map((segment) => segment.id);
    const here = [...ours, ...this.written];
    if (local.op > 0) here.push(manifestSegmentId(local.op));
    this.fetch = null;
    this.kept = [];
    this.written.clear();
    this.ports.complete(
      fetch.target,
      [...new Set(here)].filter((id) => !kept.has(id)),
    );
  }

  /** Segments that an unfinished sync has made durable count as local for the next one. */
  private keepWritten(): void {
    const manifest = this.fetch?.session.manifest;
    if (manifest === undefined || manifest === null) return;
    const known = new Set(this.kept.map((segment) => segment.id));
    const more = manifest.segments.filter(
      (segment) => this.written.has(segment.id) && !known.has(segment.id),
    );
    this.kept = [...this.kept, ...more];
  }
}
