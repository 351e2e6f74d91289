import { assert } from "#replica/base/assert.ts";
import { bytesFromHex, writeU64 } from "#replica/base/bytes.ts";
import { HistoryBlockReader } from "#replica/wire/history-block.ts";
import type { ManifestSegment } from "./manifest.ts";
import { segmentIdOf } from "./manifest.ts";
import type { Hash, SegmentWrite } from "./port.ts";
import {
  headFixedBytes,
  indexBlockRows,
  indexRowBytes,
  SegmentHead,
  SegmentIndex,
  segmentBlocksMax,
  segmentMagic,
  segmentSections,
} from "./segment-index.ts";
import type { SegmentSection } from "./segment-index.ts";

/** The next block, the index block that it may begin, and the head must still fit. */
const blocksSpare = 3;

/** A finished segment: what to write, what the manifest says of it, its index in memory. */
export interface BuiltSegment {
  readonly write: SegmentWrite;
  readonly entry: ManifestSegment;
  readonly index: SegmentIndex;
}

/** What the segments of one checkpoint or merge have in common. */
export interface SegmentGroup {
  readonly level: number;
  readonly opFirst: number;
  readonly opLast: number;
}

/**
 * Collects blocks and cuts them into segments of bounded size. A pure function of the blocks and
 * their order: replicas that build from the same ops get the same bytes.
 */
export class SegmentBuilder {
  private readonly hash: Hash;
  private readonly group: SegmentGroup;
  private readonly bytesMax: number;
  private part: number;
  private readonly revision: number;
  private blocks: Uint8Array[] = [];
  private digests: Uint8Array[] = [];
  private counts = new Map<SegmentSection, number>();
  private indexBlocks: Uint8Array[] = [];
  private rows = 0;
  private bytes = 0;

  /** `from`: number and revision of the first segment. */
  constructor(
    hash: Hash,
    group: SegmentGroup,
    bytesMax: number,
    from: { readonly part: number; readonly revision: number } = { part: 0, revision: 0 },
  ) {
    this.part = from.part;
    this.revision = from.revision;
    this.hash = hash;
    this.group = group;
    this.bytesMax = bytesMax;
  }

  /** Adds a block, which is kept; returns a segment when that completed one. */
  add(section: SegmentSection, block: Uint8Array): BuiltSegment | null {
    assert(block.length > 0, "SNP-04: no empty blocks");
    if (section === "history") this.indexRuns(block);
    this.push(section, block);
    const full = this.blocks.length + this.indexBlocks.length + blocksSpare > segmentBlocksMax;
    return this.bytes >= this.bytesMax || full ? this.cut() : null;
  }

  /** The last segment; every group has at least one. */
  finish(): BuiltSegment | null {
    const first = this.part === 0 || this.revision > 0;
    return this.blocks.length > 0 || first ? this.cut() : null;
  }

  private push(section: SegmentSection, block: Uint8Array): void {
    this.counts.set(section, (this.counts.get(section) ?? 0) + 1);
    this.blocks.push(block);
    this.digests.push(bytesFromHex(this.hash(block)));
    this.bytes += block.length;
  }

  private indexRuns(block: Uint8Array): void {
    const reader = new HistoryBlockReader(block);
    while (reader.next()) {
      const row = this.rows % indexBlockRows;
      if (row === 0) this.indexBlocks.push(new Uint8Array(indexBlockRows * indexRowBytes));
      const last = this.indexBlocks.at(-1);
      assert(last !== undefined, "SNP-04: index block");
      const view = new DataView(last.buffer);
      const at = row * indexRowBytes;
      view.setUint32(at, reader.room, true);
      view.setUint32(at + 4, reader.count, true);
      writeU64(view, at + 8, reader.seqFirst);
      view.setUint16(at + 14, this.blocks.length, true);
      this.rows += 1;
    }
  }

  private cut(): BuiltSegment {
    const { hash, group, part, revision, indexBlocks } = this;
    const lastRows = this.rows % indexBlockRows;
    const last = indexBlocks.at(-1);
    if (last !== undefined && lastRows > 0) {
      indexBlocks[indexBlocks.length - 1] = last.slice(0, lastRows * indexRowBytes);
    }
    for (const block of indexBlocks) this.push("index", block);
    const head = this.encodeHead();
    const blocks = [...this.blocks, head];
    assert(blocks.length <= segmentBlocksMax, "SNP-04: blocks of a segment");
    const id = segmentIdOf(group.level, group.opLast, part, revision);
    const bytes = this.bytes + head.length;
    const digest = hash(head);
    const about = { id, ...group, part, revision, marked: false, sweeping: false };
    const entry = { ...about, blocksCount: blocks.length, bytes, digest };
    const index = new SegmentIndex(entry, new SegmentHead(head), indexBlocks);
    this.part += 1;
    this.blocks = [];
    this.digests = [];
    this.counts = new Map();
    this.indexBlocks = [];
    this.rows = 0;
    this.bytes = 0;
    return { write: { id, blocks }, entry, index };
  }

  private encodeHead(): Uint8Array {
    const head = new Uint8Array(headFixedBytes + 32 * this.digests.length);
    const view = new DataView(head.buffer);
    view.setUint32(0, segmentMagic, true);
    segmentSections.forEach((section, i) => {
      view.setUint32(4 + 4 * i, this.counts.get(section) ?? 0, true);
    });
    this.digests.forEach((digest, i) => {
      head.set(digest, headFixedBytes + 32 * i);
    });
    return head;
  }
}
