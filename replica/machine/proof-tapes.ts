import { assert } from "#replica/base/assert.ts";
import type { HistoryBlockWriter } from "#replica/wire/history-block.ts";

/*
 * What proofs need is kept as history: runs under reserved room numbers, so that segments, merges,
 * index, repair and state sync take it as they take entries. Ascending by number:
 *   2^30 + room        frontier of a room at each checkpoint that changed it (peaks.ts: encode)
 *   2^31 - 1           frontier of the shard's log at each checkpoint
 *   2^31 + room        roots of a room's tiles of 256 leaves, 32 bytes each
 *   2^32 - 1 - level   the shard's log: leaf hashes (level 0), roots of its tiles (levels 1 to 6)
 */

/** Rooms have lower numbers than this. */
export const roomNumbersEnd = 2 ** 30 - 1;
/** Stands for the shard's log where a room stands. */
export const logRoom = roomNumbersEnd;
/** Numbers from here on are tapes, not rooms. */
export const tapesStart = 2 ** 30;
/** Levels of tiles of the shard's log. */
export const logLevels = 7;

/** Tape of a room's frontiers. */
export function frontierTape(room: number): number {
  return tapesStart + room;
}

/** Tape of the roots of a room's tiles. */
export function tileTape(room: number): number {
  return 2 ** 31 + room;
}

/** Tape of the shard's log. */
export function logTape(level: number): number {
  assert(level >= 0 && level < logLevels, "MCH-20: level of a tile");
  return 2 ** 32 - 1 - level;
}

/** Some consecutive items of a tape. */
interface Run {
  /** From 1. */
  readonly seqFirst: number;
  readonly items: Uint8Array[];
}

/** What one checkpoint adds to the tapes; in memory until its segments are installed. */
export class TapeDelta {
  /** Op of the checkpoint; 0 while it is open. */
  op = 0;
  private readonly runs = new Map<number, Run>();
  /** Walk of {@link fill}: numbers in ascending order. */
  private order: Float64Array | null = null;
  private orderAt = 0;
  private itemAt = 0;

  /** Appends an item. */
  append(tape: number, seq: number, item: Uint8Array): void {
    const run = this.runs.get(tape);
    if (run === undefined) {
      this.runs.set(tape, { seqFirst: seq, items: [item] });
      return;
    }
    assert(seq === run.seqFirst + run.items.length, "MCH-20: a tape has no holes");
    run.items.push(item);
  }

  /** Puts the only item of a tape in this delta: a later one takes the place of an earlier. */
  replace(tape: number, seq: number, item: Uint8Array): void {
    this.runs.set(tape, { seqFirst: seq, items: [item] });
  }

  /** Seq of the only item of a tape, or 0. */
  seqOf(tape: number): number {
    return this.runs.get(tape)?.seqFirst ?? 0;
  }

  /** An item, or null. */
  find(tape: number, seq: number): Uint8Array | null {
    const run = this.runs.get(tape);
    return run?.items[seq - run.seqFirst] ?? null;
  }

  /** Appends the next items to a block of history; false when some are left. */
  fill(writer: HistoryBlockWriter): boolean {
    this.order ??= Float64Array.from(this.runs.keys()).sort();
    for (; this.orderAt < this.order.length; this.orderAt += 1) {
      const tape = this.order[this.orderAt] ?? 0;
      const run = this.runs.get(tape);
      assert(run !== undefined, "MCH-20: a tape of the delta");
      for (; this.itemAt < run.items.length; this.itemAt += 1) {
        const item = run.items[this.itemAt];
        assert(item !== undefined, "MCH-20: a tape has no holes");
        const view = new DataView(item.buffer, item.byteOffset, item.byteLength);
        const seq = run.seqFirst + this.itemAt;
        if (!writer.tryAppend(tape, seq, item, view, 0, item.length)) return false;
      }
      this.itemAt = 0;
    }
    return true;
  }
}

const pageBits = 12;

/** A count for each room, 0 until set; pages of 4,096. */
export class RoomCounts {
  private readonly pages: (Uint32Array | undefined)[] = [];
  /** Of {@link logRoom}, which lies far behind the rooms. */
  private logCount = 0;

  get(room: number): number {
    if (room === logRoom) return this.logCount;
    return this.pages[room >>> pageBits]?.[room & ((1 << pageBits) - 1)] ?? 0;
  }

  set(room: number, count: number): void {
    if (room === logRoom) {
      this.logCount = count;
      return;
    }
    const number = room >>> pageBits;
    while (this.pages.length <= number) this.pages.push(undefined);
    const page = this.pages[number] ?? new Uint32Array(1 << pageBits);
    this.pages[number] = page;
    page[room & ((1 << pageBits) - 1)] = count;
  }
}
