import { assert } from "#replica/base/assert.ts";
import { entryPrefixBytes } from "#replica/wire/entry.ts";
import { HistoryBlockReader, HistoryBlockWriter } from "#replica/wire/history-block.ts";
import type { BlockPool } from "./block-pool.ts";
import { BlockStream } from "./block-stream.ts";
import type { BlockAddress, Hash, Sweeper } from "./port.ts";
import type { BuiltSegment } from "./segment-builder.ts";
import { SegmentBuilder } from "./segment-builder.ts";
import type { SegmentIndex } from "./segment-index.ts";

/** Sections of a segment in their order; the index is made anew. */
const sections = ["history", "rooms", "keys", "sessions"] as const;
/** Bytes of work that looking at one row of an index counts for. */
const lookBytes = 64;

/**
 * Writes one segment again without what was redacted or dropped; leaves it alone when it holds
 * nothing of that. Runs a bounded number of bytes a step; what it makes depends on the segment
 * and on what the machine says as of the checkpoint that began the sweep.
 */
export class Sweep {
  readonly index: SegmentIndex;
  /** The new segment; empty while there is none, and in the end when the old one stays. */
  readonly built: BuiltSegment[] = [];
  /** Bytes of entries that are not in the new segment. */
  goneBytes = 0;
  private readonly sweeper: Sweeper;
  private readonly pool: BlockPool;
  private readonly builder: SegmentBuilder;
  private row = 0;
  private section = -1;
  private stream: BlockStream | null = null;
  private reader: HistoryBlockReader | null = null;
  private entryAt = 0;
  private entriesLeft = 0;
  private asked = 0;
  private buffer: Uint8Array;
  private writer: HistoryBlockWriter;
  private finished = false;

  constructor(options: {
    readonly hash: Hash;
    readonly index: SegmentIndex;
    readonly pool: BlockPool;
    readonly sweeper: Sweeper;
  }) {
    const { hash, index, pool, sweeper } = options;
    this.index = index;
    this.pool = pool;
    this.sweeper = sweeper;
    const { level, opFirst, opLast, part, revision } = index.entry;
    const group = { level, opFirst, opLast };
    const from = { part, revision: revision + 1 };
    this.builder = new SegmentBuilder(hash, group, Number.POSITIVE_INFINITY, from);
    this.buffer = pool.take();
    this.writer = new HistoryBlockWriter(this.buffer);
  }

  /** True when it is known what becomes of the segment. */
  get done(): boolean {
    return this.finished;
  }

  /** True while it can do nothing before the blocks that it asked for come. */
  get waiting(): boolean {
    return this.asked > 0;
  }

  /** Does about `bytesMax` bytes of work; returns addresses when blocks must be loaded first. */
  step(bytesMax: number): readonly BlockAddress[] {
    assert(!this.finished && this.asked === 0, "SNP-11: a sweep steps while it has work");
    if (this.section < 0) {
      this.look(bytesMax);
      return [];
    }
    const section = sections[this.section];
    if (section === undefined) {
      const last = this.builder.finish();
      assert(last !== null, "SNP-11: a segment becomes one segment");
      this.built.push(last);
      this.finished = true;
      return [];
    }
    this.stream ??= new BlockStream([this.index], section);
    for (let done = 0; done < bytesMax; ) {
      if (this.reader !== null) {
        done += this.copyEntries(this.reader, bytesMax - done);
        continue;
      }
      const block = this.stream.take();
      if (block === null) return this.endOrAsk(section);
      if (section === "history") this.reader = new HistoryBlockReader(block);
      else this.add(section, block.slice());
      done += block.length;
    }
    return [];
  }

  /** The blocks of the last `step`, in its order. */
  loaded(blocks: readonly Uint8Array[]): void {
    assert(blocks.length === this.asked, "SNP-11: blocks as asked for");
    for (const block of blocks) this.stream?.give(block);
    this.asked = 0;
  }

  /** Looks for an entry that has to go; the segment stays when there is none. */
  private look(bytesMax: number): void {
    const { index } = this;
    for (let done = 0; done < bytesMax; done += lookBytes) {
      if (this.row === index.rowsCount) {
        this.finished = true;
        this.pool.give(this.buffer);
        return;
      }
      const { row } = this;
      const count = index.rowCount(row);
      if (this.sweeper.touches(index.rowRoom(row), index.rowSeq(row), count)) {
        this.section = 0;
        return;
      }
      done += count;
      this.row += 1;
    }
  }

  private endOrAsk(section: (typeof sections)[number]): readonly BlockAddress[] {
    const addresses = this.stream?.ask() ?? [];
    this.asked = addresses.length;
    if (addresses.length > 0) return addresses;
    if (section === "history") this.flush();
    this.stream = null;
    this.section += 1;
    return [];
  }

  private add(section: (typeof sections)[number], block: Uint8Array): void {
    const cut = this.builder.add(section, block);
    assert(cut === null, "SNP-11: a segment becomes one segment");
  }

  /** Copies what is left of about `bytesMax` bytes of entries; forgets the block at its end. */
  private copyEntries(run: HistoryBlockReader, bytesMax: number): number {
    let done = 0;
    while (done < bytesMax) {
      if (this.entriesLeft === 0) {
        if (!run.next()) {
          this.reader = null;
          return done + 1;
        }
        this.entriesLeft = run.count;
        this.entryAt = run.start;
      }
      const start = this.entryAt + entryPrefixBytes;
      const length = run.view.getUint32(this.entryAt, true);
      const seq = run.seqFirst + run.count - this.entriesLeft;
      if (this.sweeper.touches(run.room, seq, 1)) {
        const kept = this.sweeper.keep(run.room, seq, run.bytes.subarray(start, start + length));
        const view = new DataView(kept.buffer, kept.byteOffset, kept.byteLength);
        this.goneBytes += Math.max(0, length - kept.length);
        if (kept.length > 0) this.append(run.room, seq, kept, view, 0, kept.length);
      } else this.append(run.room, seq, run.bytes, run.view, start, length);
      this.entryAt = start + length;
      this.entriesLeft -= 1;
      done += entryPrefixBytes + length;
    }
    return done;
  }

  private append(
    room: number,
    seq: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    length: number,
  ): void {
    if (this.writer.tryAppend(room, seq, bytes, view, start, length)) return;
    this.flush();
    const fits = this.writer.tryAppend(room, seq, bytes, view, start, length);
    assert(fits, "SNP-11: a block holds the largest entry");
  }

  private flush(): void {
    const { used } = this.writer;
    if (used > 0) this.add("history", this.buffer.slice(0, used));
    this.writer = new HistoryBlockWriter(this.buffer);
  }
}
