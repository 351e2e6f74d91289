import { assert } from "#replica/base/assert.ts";
import type { Checksum } from "#replica/base/brands.ts";
import { bytesConcat } from "#replica/base/bytes.ts";
import type { Manifest } from "./manifest.ts";
import type { BlockAddress, Hash, RestoreSink } from "./port.ts";
import { SegmentHead, SegmentIndex } from "./segment-index.ts";
import type { SegmentSection } from "./segment-index.ts";

/** What {@link Restorer.next} wants. */
export type RestoreStep =
  /** Load these blocks, then call `give` with them in this order (null = unreadable). */
  | {
      readonly kind: "load";
      readonly addresses: readonly BlockAddress[];
      /** What will be asked for after them, as the same list; empty = not known yet. */
      readonly ahead: readonly BlockAddress[];
    }
  /** Work is left; call `next` again, after other events had their turn. */
  | { readonly kind: "more" }
  | {
      readonly kind: "done";
      readonly manifest: Manifest;
      /** For CheckpointWriter. */
      readonly segments: readonly SegmentIndex[];
      /** Encoded session table: ReplicaOptions.sessions, or event sync_done. */
      readonly sessions: Uint8Array;
    };

/** A block without which a restore cannot go on: fetch it from a peer, repair it, give it again. */
export interface Damage {
  readonly address: BlockAddress;
  readonly digest: Checksum;
}

interface Wanted {
  /** Position of the segment in the manifest. */
  readonly segment: number;
  readonly address: BlockAddress;
  readonly digest: Checksum;
}

/** Blocks asked for at a time, and their addresses alone. */
interface Asked {
  readonly wanted: readonly Wanted[];
  readonly addresses: readonly BlockAddress[];
}

const nothing: Asked = { wanted: [], addresses: [] };

function askedFor(wanted: readonly Wanted[]): Asked {
  return { wanted, addresses: wanted.map(({ address }) => address) };
}

/** Blocks of one segment that a phase wants. */
interface Range {
  readonly segment: number;
  block: number;
  readonly end: number;
}

/** Takes a block of the segment at a position. */
type Take = (segment: number, block: Uint8Array) => void;

/** Blocks asked for at a time. */
const wantedMax = 16;
/** Runs taken in one call: some milliseconds. */
const runsMax = 10_000;

const phases = ["heads", "indexes", "rooms", "runs", "keys", "settle", "sessions", "end"] as const;

/** Rebuilds a machine from a manifest and the blocks on disk, a few blocks at a time. Pure. */
export class Restorer {
  private readonly hash: Hash;
  private readonly manifest: Manifest;
  private readonly sink: RestoreSink;
  private phase = 0;
  /** Blocks of the phase that were not asked for yet, in order. */
  private pending: Range[] = [];
  private pendingAt = 0;
  private take: Take;
  private asked: Asked = nothing;
  private ahead: Asked = nothing;
  private readonly heads: SegmentHead[] = [];
  private readonly indexBlocks: Uint8Array[][] = [];
  private segments: SegmentIndex[] = [];
  private readonly sessions: Uint8Array[] = [];
  private runSegment = 0;
  private runRow = 0;

  /** `manifest`: decoded from bytes whose digest is the checkpoint's root. */
  constructor(options: {
    readonly hash: Hash;
    readonly manifest: Manifest;
    readonly sink: RestoreSink;
  }) {
    this.hash = options.hash;
    this.manifest = options.manifest;
    this.sink = options.sink;
    this.sink.restoreBegin(this.manifest.op, this.manifest.state);
    this.pending = this.manifest.segments.map(({ blocksCount }, segment) => {
      return { segment, block: blocksCount - 1, end: blocksCount };
    });
    this.take = (_, block) => {
      this.heads.push(new SegmentHead(block));
      this.indexBlocks.push([]);
    };
  }

  /** What is wanted now; at most 16 blocks. The same answer until `give`. */
  next(): RestoreStep {
    if (this.asked.wanted.length > 0) return this.load();
    const phase = phases[this.phase];
    if (phase === "end") {
      const { manifest, segments } = this;
      return { kind: "done", manifest, segments, sessions: bytesConcat(this.sessions) };
    }
    if (phase === "runs") {
      this.takeRuns();
      return { kind: "more" };
    }
    if (phase === "settle" && this.sink.restoreSettle()) return { kind: "more" };
    if (this.ahead.wanted.length === 0 && this.pendingAt === this.pending.length) {
      this.enter(this.phase + 1);
      return { kind: "more" };
    }
    this.asked = this.ahead.wanted.length > 0 ? this.ahead : this.collect();
    this.ahead = this.collect();
    return this.load();
  }

  /** The next blocks of the phase. */
  private collect(): Asked {
    const wanted: Wanted[] = [];
    for (; this.pendingAt < this.pending.length; this.pendingAt += 1) {
      const range = this.pending[this.pendingAt];
      const entry = this.manifest.segments[range?.segment ?? -1];
      assert(range !== undefined && entry !== undefined, "SNP-08: a segment of the manifest");
      for (; range.block < range.end; range.block += 1) {
        if (wanted.length === wantedMax) return askedFor(wanted);
        const { segment, block } = range;
        const isHead = block === entry.blocksCount - 1;
        const digest = isHead ? entry.digest : this.head(segment).digest(block);
        wanted.push({ segment, address: { segment: entry.id, block }, digest });
      }
    }
    return askedFor(wanted);
  }

  private head(segment: number): SegmentHead {
    const head = this.heads[segment];
    assert(head !== undefined, "SNP-08: every head was read");
    return head;
  }

  private load(): RestoreStep {
    return { kind: "load", addresses: this.asked.addresses, ahead: this.ahead.addresses };
  }

  /** Takes the blocks; returns those that are missing or damaged (then nothing was consumed). */
  give(blocks: readonly (Uint8Array | null)[]): readonly Damage[] {
    const asked = this.asked.wanted;
    assert(blocks.length === asked.length, "SNP-08: blocks as asked for");
    const damages: Damage[] = [];
    blocks.forEach((block, i) => {
      const wanted = asked[i];
      assert(wanted !== undefined, "SNP-08: blocks as asked for");
      if (block !== null && this.hash(block) === wanted.digest) return;
      damages.push({ address: wanted.address, digest: wanted.digest });
    });
    if (damages.length > 0) return damages;
    this.asked = nothing;
    blocks.forEach((block, i) => {
      if (block !== null) this.take(asked[i]?.segment ?? 0, block);
    });
    return [];
  }

  private enter(phase: number): void {
    this.phase = phase;
    this.pending = [];
    this.pendingAt = 0;
    const name = phases[phase];
    if (name === "indexes") {
      this.want("index", (segment, block) => this.indexBlocks[segment]?.push(block));
    } else if (name === "rooms") {
      this.segments = this.manifest.segments.map((entry, i) => {
        const head = this.heads[i];
        assert(head !== undefined, "SNP-08: every head was read");
        return new SegmentIndex(entry, head, this.indexBlocks[i] ?? []);
      });
      this.want("rooms", (_, block) => this.sink.restoreRooms(block));
    } else if (name === "keys") {
      this.want("keys", (_, block) => this.sink.restoreKeys(block));
    } else if (name === "sessions") {
      this.want("sessions", (_, block) => this.sessions.push(block), this.manifest.op);
    } else if (name === "end") {
      this.sink.restoreEnd(this.segments);
    }
  }

  /** Queues all blocks of a kind; with `opLast` only those of one checkpoint's segments. */
  private want(section: SegmentSection, take: Take, opLast?: number): void {
    this.take = take;
    this.manifest.segments.forEach((entry, segment) => {
      if (opLast !== undefined && (entry.opLast !== opLast || entry.level !== 0)) return;
      const { first: block, end } = this.head(segment).range(section);
      if (block < end) this.pending.push({ segment, block, end });
    });
  }

  private takeRuns(): void {
    for (let taken = 0; taken < runsMax; ) {
      const segment = this.segments[this.runSegment];
      if (segment === undefined) {
        this.enter(this.phase + 1);
        return;
      }
      const end = Math.min(segment.rowsCount, this.runRow + runsMax - taken);
      taken += end - this.runRow + 1;
      for (; this.runRow < end; this.runRow += 1) {
        const row = this.runRow;
        this.sink.restoreRun(segment.rowRoom(row), segment.rowSeq(row), segment.rowCount(row));
      }
      if (this.runRow < segment.rowsCount) return;
      this.runSegment += 1;
      this.runRow = 0;
    }
  }
}
