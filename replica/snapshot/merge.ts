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

type Streams = Readonly<Record<(typeof sections)[number], readonly BlockStream[]>>;

function blocksOf(streams: Streams, which: "all" | "taken"): number {
  let sum = 0;
  for (const section of sections) {
    for (const { blocksCount } of streams[section]) sum += blocksCount[which];
  }
  return sum;
}

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
  private readonly cursors: readonly HistoryCursor[];
  private readonly rowCursors: readonly RowCursor[];
  private section = 0;
  private readonly keys: BlockStream;
  /** By section, those that read its blocks. */
  private readonly streams: Streams;
  private readonly blocksCount: number;
  private asked: BlockStream[] = [];
  /** The last step ended because blocks were not there. */
  private starved = false;
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
    this.keys = new BlockStream(inputs, "keys");
    const history = this.cursors.map(({ stream }) => stream);
    const rooms = this.rowCursors.map(({ stream }) => stream);
    this.streams = { history, rooms, keys: [this.keys] };
    this.blocksCount = blocksOf(this.streams, "all");
    this.buffer = pool.take();
    this.writer = new HistoryBlockWriter(this.buffer);
  }

  /** True when all segments were built. */
  get done(): boolean {
    return this.finished;
  }

  /** Share of the inputs' blocks that were read, 0 to 1. */
  get progress(): number {
    return this.blocksCount === 0 ? 1 : blocksOf(this.streams, "taken") / this.blocksCount;
  }

  /** True while it can do nothing before the blocks that it asked for come. */
  get waiting(): boolean {
    return this.starved && this.asked.length > 0;
  }

  /**
   * Does about `bytesMax` bytes of work; returns addresses of blocks to load, which it needs now or
   * soon: unless it is {@link waiting} it can go on meanwhile.
   */
  step(bytesMax: number): readonly BlockAddress[] {
    assert(!this.finished && !this.waiting, "SNP-06: a merge steps while it has work");
    this.starved = false;
    this.work(bytesMax);
    return this.asked.length > 0 ? [] : this.ask();
  }

  private work(bytesMax: number): void {
    const section = sections[this.section];
    if (section === undefined) {
      const last = this.builder.finish();
      if (last !== null) this.built.push(last);
      this.finished = true;
    } else if (section === "history") this.stepHistory(bytesMax);
    else if (section === "rooms") this.stepRows(bytesMax);
    else this.stepKeys(bytesMax);
  }

  /** The blocks of the last `step` that asked for some, in its order. */
  loaded(blocks: readonly Uint8Array[]): void {
    assert(blocks.length === this.asked.length, "SNP-06: blocks as asked for");
    blocks.forEach((block, i) => {
      this.asked[i]?.give(block);
    });
    this.asked = [];
  }

  private ask(): readonly BlockAddress[] {
    const addresses: BlockAddress[] = [];
    for (const stream of this.streams[sections[this.section] ?? "keys"]) {
      for (const address of stream.ask()) {
        addresses.push(address);
        this.asked.push(stream);
      }
    }
    assert(addresses.length > 0 || !this.starved, "SNP-06: a starving merge has blocks to ask for");
    return addresses;
  }

  private stepHistory(bytesMax: number): void {
    let done = 0;
    while (done < bytesMax) {
      let least: HistoryCursor | null = null;
      for (const cursor of this.cursors) {
        if (!this.fillCursor(cursor)) {
          this.starved ||= !cursor.stream.ended;
          continue;
        }
        // On a tie the older group comes first: its seqs are lower.
        const room = cursor.reader?.room ?? 0;
        if (least === null || room < (least.reader?.room ?? 0)) least = cursor;
      }
      if (this.starved) return;
      if (least === null || least.reader === null) {
        this.flush("history");
        this.section += 1;
        return;
      }
      done += this.copyRun(least.reader);
      if (!least.reader.next()) least.reader = null;
    }
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
  private stepRows(bytesMax: number): void {
    for (let done = 0; done < bytesMax; ) {
      let least: RowCursor | null = null;
      for (const cursor of this.rowCursors) {
        if (!cursor.ready()) {
          this.starved ||= !cursor.stream.ended;
          continue;
        }
        const order = least === null ? -1 : compareRows(cursor, least);
        if (order > 0) continue;
        if (order === 0) least?.advance();
        least = cursor;
      }
      if (this.starved) return;
      if (least === null) {
        this.flush("rooms");
        this.section += 1;
        return;
      }
      const { block, at, length } = least;
      if (this.used + length > this.pool.blockBytes) this.flush("rooms");
      this.copyRange(block, at, at + length);
      least.advance();
      done += length;
    }
  }

  private stepKeys(bytesMax: number): void {
    for (let done = 0; done < bytesMax; ) {
      if (this.keys.ended) {
        this.flush("keys");
        this.section += 1;
        return;
      }
      const block = this.keys.take();
      if (block === null) {
        this.starved = true;
        return;
      }
      this.copyKeys(block);
      done += block.length;
    }
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
