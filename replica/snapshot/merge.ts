import { assert } from "#replica/base/assert.ts";
import { entryPrefixBytes } from "#replica/wire/entry.ts";
import { HistoryBlockReader, HistoryBlockWriter } from "#replica/wire/history-block.ts";
import type { BlockPool } from "./block-pool.ts";
import type { ManifestMerge } from "./manifest.ts";
import type { BlockAddress, Hash } from "./port.ts";
import { keyRowBytes, keyRowMs, roomRowBytes } from "./port.ts";
import type { BuiltSegment } from "./segment-builder.ts";
import { SegmentBuilder } from "./segment-builder.ts";
import type { SegmentIndex, SegmentSection } from "./segment-index.ts";

/** Blocks that one cursor asks for ahead. */
const readAhead = 4;

/** Walks the blocks of one kind through some segments; blocks arrive from outside. */
class BlockStream {
  private readonly addresses: BlockAddress[] = [];
  private asked = 0;
  private taken = 0;
  private readonly loaded: Uint8Array[] = [];

  constructor(segments: readonly SegmentIndex[], section: SegmentSection) {
    for (const segment of segments) {
      const { first, end } = segment.head.range(section);
      for (let block = first; block < end; block += 1) {
        this.addresses.push({ segment: segment.id, block });
      }
    }
  }

  /** True when all blocks were taken. */
  get ended(): boolean {
    return this.taken === this.addresses.length;
  }

  /** Next block, or null when it is not loaded. */
  take(): Uint8Array | null {
    const block = this.loaded.shift();
    if (block === undefined) return null;
    this.taken += 1;
    return block;
  }

  /** Blocks to load next. */
  ask(): readonly BlockAddress[] {
    const addresses = this.addresses.slice(this.asked, this.asked + readAhead);
    this.asked += addresses.length;
    return addresses;
  }

  give(block: Uint8Array): void {
    this.loaded.push(block);
  }
}

/** One group's history during a merge. */
interface HistoryCursor {
  readonly stream: BlockStream;
  /** Null = needs the next block; positioned on a run otherwise. */
  reader: HistoryBlockReader | null;
}

/** Sections in the order in which a merge writes them; sessions are not kept. */
const sections = ["history", "rooms", "keys"] as const;

/**
 * Merges the groups of one level into one group of the next: entries by (room, seq), rooms and keys
 * in the order of the log, keys of forgotten generations left out. Runs a bounded number of bytes a
 * step; what it makes depends on its inputs alone.
 */
export class Merge {
  readonly record: ManifestMerge;
  /** Segments made so far, in order. */
  readonly built: BuiltSegment[] = [];
  private readonly builder: SegmentBuilder;
  private readonly pool: BlockPool;
  private readonly inputs: readonly SegmentIndex[];
  private readonly cursors: readonly HistoryCursor[];
  private section = 0;
  private rows: BlockStream | null = null;
  private asked: BlockStream[] = [];
  private buffer: Uint8Array;
  private used = 0;
  private writer: HistoryBlockWriter;
  private finished = false;

  /** `inputs`: segments of the groups to merge, ascending by ops and part. */
  constructor(options: {
    readonly hash: Hash;
    readonly record: ManifestMerge;
    readonly inputs: readonly SegmentIndex[];
    readonly pool: BlockPool;
    readonly segmentBytes: number;
  }) {
    const { hash, record, inputs, pool, segmentBytes } = options;
    const first = inputs[0];
    assert(first !== undefined, "SNP-06: a merge has inputs");
    this.record = record;
    this.inputs = inputs;
    this.pool = pool;
    const { opFirst } = first.entry;
    const group = { level: record.level + 1, opFirst, opLast: record.opLast };
    this.builder = new SegmentBuilder(hash, group, segmentBytes);
    const groups = new Map<number, SegmentIndex[]>();
    for (const input of inputs) {
      const parts = groups.get(input.entry.opLast) ?? [];
      groups.set(input.entry.opLast, parts);
      parts.push(input);
    }
    // Insertion order of the map is the order of the inputs: ascending by ops.
    this.cursors = [...groups.values()].map((parts) => {
      return { stream: new BlockStream(parts, "history"), reader: null };
    });
    this.buffer = pool.take();
    this.writer = new HistoryBlockWriter(this.buffer);
  }

  /** True when all segments were built. */
  get done(): boolean {
    return this.finished;
  }

  /** True while blocks that were asked for have not come. */
  get waiting(): boolean {
    return this.asked.length > 0;
  }

  /** Does about `bytesMax` bytes of work; returns addresses when blocks must be loaded first. */
  step(bytesMax: number): readonly BlockAddress[] {
    assert(!this.finished && !this.waiting, "SNP-06: a merge steps while it has work");
    const section = sections[this.section];
    if (section === undefined) {
      const last = this.builder.finish();
      if (last !== null) this.built.push(last);
      this.finished = true;
      return [];
    }
    return section === "history" ? this.stepHistory(bytesMax) : this.stepRows(section, bytesMax);
  }

  /** The blocks of the last `step`, in its order. */
  loaded(blocks: readonly Uint8Array[]): void {
    assert(blocks.length === this.asked.length, "SNP-06: blocks as asked for");
    blocks.forEach((block, i) => {
      this.asked[i]?.give(block);
    });
    this.asked = [];
  }

  private ask(streams: readonly BlockStream[]): readonly BlockAddress[] {
    const addresses: BlockAddress[] = [];
    for (const stream of streams) {
      for (const address of stream.ask()) {
        addresses.push(address);
        this.asked.push(stream);
      }
    }
    assert(addresses.length > 0, "SNP-06: a starving merge has blocks to ask for");
    return addresses;
  }

  private stepHistory(bytesMax: number): readonly BlockAddress[] {
    let done = 0;
    while (done < bytesMax) {
      const starving: BlockStream[] = [];
      let least: HistoryCursor | null = null;
      for (const cursor of this.cursors) {
        if (!this.fillCursor(cursor)) {
          if (!cursor.stream.ended) starving.push(cursor.stream);
          continue;
        }
        // On a tie the older group comes first: its seqs are lower.
        const room = cursor.reader?.room ?? 0;
        if (least === null || room < (least.reader?.room ?? 0)) least = cursor;
      }
      if (starving.length > 0) return this.ask(starving);
      if (least === null || least.reader === null) {
        this.flush("history");
        this.section += 1;
        return [];
      }
      done += this.copyRun(least.reader);
      if (!least.reader.next()) least.reader = null;
    }
    return [];
  }

  /** Puts a cursor on a run; false when its stream has no block at hand. */
  private fillCursor(cursor: HistoryCursor): boolean {
    while (cursor.reader === null) {
      const block = cursor.stream.take();
      if (block === null) return false;
      const reader = new HistoryBlockReader(block);
      if (reader.next()) cursor.reader = reader;
    }
    return true;
  }

  private copyRun(run: HistoryBlockReader): number {
    if (this.writer.tryAppendRun(run)) this.used = this.writer.used;
    else this.splitRun(run);
    return run.end - run.start;
  }

  /** Copies entry by entry: the run crosses into the next block. */
  private splitRun(run: HistoryBlockReader): void {
    const { room, bytes, view } = run;
    let at = run.start;
    for (let i = 0; i < run.count; i += 1) {
      const seq = run.seqFirst + i;
      const length = view.getUint32(at, true);
      const start = at + entryPrefixBytes;
      assert(start + length <= run.end, "SNP-06: an entry within its run");
      if (!this.writer.tryAppend(room, seq, bytes, view, start, length)) {
        this.flush("history");
        const fits = this.writer.tryAppend(room, seq, bytes, view, start, length);
        assert(fits, "SNP-06: a block holds the largest entry");
      }
      this.used = this.writer.used;
      at = start + length;
    }
  }

  private stepRows(section: "rooms" | "keys", bytesMax: number): readonly BlockAddress[] {
    this.rows ??= new BlockStream(this.inputs, section);
    for (let done = 0; done < bytesMax; ) {
      if (this.rows.ended) {
        this.flush(section);
        this.rows = null;
        this.section += 1;
        return [];
      }
      const block = this.rows.take();
      if (block === null) return this.ask([this.rows]);
      this.copyRows(section, block);
      done += block.length;
    }
    return [];
  }

  private copyRows(section: "rooms" | "keys", block: Uint8Array): void {
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    // Rows in a row are copied as one.
    let from = 0;
    for (let at = 0; at < block.length; ) {
      const length = section === "keys" ? keyRowBytes : roomRowBytes(view, at);
      assert(length > 0 && at + length <= block.length, "SNP-06: a row within its block");
      const kept = section === "rooms" || keyRowMs(view, at) >= this.record.keyFloorMs;
      const fits = this.used + (at - from) + length <= this.pool.blockBytes;
      if (!kept || !fits) {
        this.copyRange(block, from, at);
        from = kept ? at : at + length;
        if (kept) this.flush(section);
      }
      at += length;
    }
    this.copyRange(block, from, block.length);
  }

  private copyRange(block: Uint8Array, from: number, end: number): void {
    if (from >= end) return;
    this.buffer.set(block.subarray(from, end), this.used);
    this.used += end - from;
  }

  private flush(section: SegmentSection): void {
    if (this.used === 0) return;
    const full = this.used * 4 >= this.pool.blockBytes * 3;
    const block = full ? this.buffer.subarray(0, this.used) : this.buffer.slice(0, this.used);
    const built = this.builder.add(section, block);
    if (built !== null) this.built.push(built);
    if (full) this.buffer = this.pool.take();
    this.writer = new HistoryBlockWriter(this.buffer);
    this.used = 0;
  }
}
