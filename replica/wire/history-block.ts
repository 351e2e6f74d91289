import { assert } from "#replica/base/assert.ts";
import { copyRange } from "#replica/base/byte-ranges.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import { entryPrefixBytes } from "./entry.ts";

/*
 * A block of history: runs, ascending by (room, seq). A run holds consecutive entries of one room:
 * room number u32, entries u32, seq of the first u64, bytes of the entries u32, then the entries,
 * each behind its u32 length. Little-endian. The machine fills and reads blocks, snapshot merges
 * them; both see only whole runs.
 */

/** Bytes of a run before its entries. */
export const runHeaderBytes = 20;

/** Fills one block with runs. A run stays open while entries of the same room follow. */
export class HistoryBlockWriter {
  readonly bytes: Uint8Array;
  /** Bytes written. */
  used = 0;
  private readonly view: DataView;
  private runAt = -1;
  private runRoom = -1;
  private runSeqNext = 0;

  /** `bytes`: the buffer to fill, all of it. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Appends one encoded entry without its prefix; false when the block has no room for it. */
  tryAppend(
    room: number,
    seq: number,
    from: Uint8Array,
    fromView: DataView,
    start: number,
    length: number,
  ): boolean {
    const entryAt = this.reserve(room, seq, entryPrefixBytes + length);
    if (entryAt < 0) return false;
    this.view.setUint32(entryAt, length, true);
    copyRange(this.bytes, this.view, entryAt + entryPrefixBytes, from, fromView, start, length);
    this.close(1);
    return true;
  }

  /** Appends a run's entries as they stand in another block; false when they do not fit whole. */
  tryAppendRun(run: HistoryBlockReader): boolean {
    const length = run.end - run.start;
    const at = this.reserve(run.room, run.seqFirst, length);
    if (at < 0) return false;
    copyRange(this.bytes, this.view, at, run.bytes, run.view, run.start, length);
    this.close(run.count);
    return true;
  }

  /** Makes room for bytes of entries from `seq` on; returns their offset, or -1. */
  private reserve(room: number, seq: number, bytes: number): number {
    const fresh = room !== this.runRoom || seq !== this.runSeqNext;
    const needed = bytes + (fresh ? runHeaderBytes : 0);
    if (this.used + needed > this.bytes.length) return -1;
    if (fresh) this.beginRun(room, seq);
    const at = this.used;
    this.used += bytes;
    return at;
  }

  /** Counts entries that were written into the open run. */
  private close(count: number): void {
    const { view, runAt } = this;
    this.runSeqNext += count;
    view.setUint32(runAt + 4, view.getUint32(runAt + 4, true) + count, true);
    view.setUint32(runAt + 16, this.used - runAt - runHeaderBytes, true);
  }

  private beginRun(room: number, seq: number): void {
    const at = this.used;
    this.view.setUint32(at, room, true);
    this.view.setUint32(at + 4, 0, true);
    writeU64(this.view, at + 8, seq);
    this.view.setUint32(at + 16, 0, true);
    this.runAt = at;
    this.runRoom = room;
    this.runSeqNext = seq;
    this.used = at + runHeaderBytes;
  }
}

/** Walks the runs of one block in place; asserts a well-formed block (its digest was checked). */
export class HistoryBlockReader {
  room = 0;
  seqFirst = 0;
  count = 0;
  /** Entries of the current run lie in [start, end) of the block. */
  start = 0;
  end = 0;
  readonly bytes: Uint8Array;
  readonly view: DataView;

  /** `bytes`: one whole block. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Moves to the next run; false at the end. */
  next(): boolean {
    const at = this.end;
    if (at === this.bytes.length) return false;
    assert(at + runHeaderBytes <= this.bytes.length, "WIR-44: run is cut");
    this.room = this.view.getUint32(at, true);
    this.count = this.view.getUint32(at + 4, true);
    this.seqFirst = readU64(this.view, at + 8);
    this.start = at + runHeaderBytes;
    this.end = this.start + this.view.getUint32(at + 16, true);
    assert(this.end <= this.bytes.length && this.count > 0, "WIR-44: run is cut");
    return true;
  }
}
