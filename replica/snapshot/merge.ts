import { assert } from "#replica/base/assert.ts";
import { entryPrefixBytes } from "#replica/wire/entry.ts";
import { HistoryBlockReader, HistoryBlockWriter } from "#replica/wire/history-block.ts";
import type { BlockPool } from "./block-pool.ts";
import { BlockStream } from "./block-stream.ts";
import type { ManifestMerge } from "./manifest.ts";
import type { BlockAddress, Hash } from "./port.ts";
import { keyRowBytes, keyRowMs } from "./port.ts";
import { compareRows, RowCursor } from "./row-cursor.ts";
import type { BuiltSegment } from "./segment-builder.ts";
import { SegmentBuilder } from "./segment-builder.ts";
import type { SegmentIndex, SegmentSection } from "./segment-index.ts";

/** One group's history during a merge. */
interface HistoryCursor {
  readonly stream: BlockStream;
  /** Null = needs the next block; positioned on a run otherwise. */
  reader: HistoryBlockReader | null;
}

/** Sections in the order in which a merge writes them; sessions are not kept. */
const sections = ["history", "rooms", "keys"] as const;

/**
 * Merges the groups of one level into one group of the next: entries by (room, seq), rooms by
 * number, of each cell its newest value, keys in the order of the log but forgotten ones. Runs a
 * bounded number of bytes a step; what it makes depends on its inputs alone.
 */
export class Merge {
  readonly record: ManifestMerge;
  /** Segments made so far, in order. */
  readonly built: BuiltSegment[] = [];
  private readonly builder: SegmentBuilder;
  private readonly pool: BlockPool;
  private readonly inputs: readonly SegmentIndex[];
  private readonly cursors: readonly HistoryCursor[];
  private readonly rowCursors: readonly RowCursor[];
  private section = 0;
  private keys: BlockStream | null = null;
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
    this.rowCursors = [...groups.values()].map((parts) => new RowCursor(parts));
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
    if (section === "history") return this.stepHistory(bytesMax);
    return section === "rooms" ? this.stepRows(bytesMax) : this.stepKeys(bytesMax);
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

  /** Rows of rooms and cells; of a cell that several groups have, the newest group's. */
  private stepRows(bytesMax: number): readonly BlockAddress[] {
    for (let done = 0; done < bytesMax; ) {
      const starving: BlockStream[] = [];
      let least: RowCursor | null = null;
      for (const cursor of this.rowCursors) {
        if (!cursor.ready()) {
          if (!cursor.stream.ended) starving.push(cursor.stream);
          continue;
        }
        const order = least === null ? -1 : compareRows(cursor, least);
        if (order > 0) continue;
        if (order === 0) least?.advance();
        least = cursor;
      }
      if (starving.length > 0) return this.ask(starving);
      if (least === null) {
        this.flush("rooms");
        this.section += 1;
        return [];
      }
      const { block, at, length } = least;
      if (this.used + length > this.pool.blockBytes) this.flush("rooms");
      this.copyRange(block, at, at + length);
      least.advance();
      done += length;
    }
    return [];
  }

  private stepKeys(bytesMax: number): readonly BlockAddress[] {
    this.keys ??= new BlockStream(this.inputs, "keys");
    for (let done = 0; done < bytesMax; ) {
      if (this.keys.ended) {
        this.flush("keys");
        this.keys = null;
        this.section += 1;
        return [];
      }
      const block = this.keys.take();
      if (block === null) return this.ask([this.keys]);
      this.copyKeys(block);
      done += block.length;
    }
    return [];
  }

  private copyKeys(block: Uint8Array): void {
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    assert(block.length % keyRowBytes === 0, "SNP-06: a row within its block");
    // Rows in a row are copied as one.
    let from = 0;
    for (let at = 0; at < block.length; ) {
      const kept = keyRowMs(view, at) >= this.record.keyFloorMs;
      const fits = this.used + (at - from) + keyRowBytes <= this.pool.blockBytes;
      if (!kept || !fits) {
        this.copyRange(block, from, at);
        from = kept ? at : at + keyRowBytes;
        if (kept) this.flush("keys");
      }
      at += keyRowBytes;
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
