import { assert } from "#replica/base/assert.ts";
import type { HistoryBlockWriter } from "#replica/wire/history-block.ts";
import { SplitMap } from "./split-map.ts";

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
/** Numbers from here on are tapes of tiles. */
export const tilesStart = 2 ** 31;
/** Levels of tiles of the shard's log. */
export const logLevels = 7;

/** Tape of a room's frontiers. */
export function frontierTape(room: number): number {
  return tapesStart + room;
}

/** Tape of the roots of a room's tiles. */
export function tileTape(room: number): number {
  return tilesStart + room;
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

/** The frontier of a room at the end of a delta. */
interface FrontierItem {
  readonly seq: number;
  readonly item: Uint8Array;
}

const noItems: readonly Uint8Array[] = [];

/** What one checkpoint adds to the tapes; in memory until its segments are installed. */
export class TapeDelta {
  /** Op of the checkpoint; 0 while it is open. */
  op = 0;
  /** By room: small integers are fast keys, tapes' numbers are not. */
  private readonly frontiers = new SplitMap<FrontierItem>();
  private readonly tiles = new Map<number, Run>();
  private readonly log: (Run | undefined)[] = [];
  /** Walk of {@link fill}: tapes in ascending order. */
  private order: Float64Array | null = null;
  private orderAt = 0;
  private itemAt = 0;

  /** Sets the frontier of a room: a later one takes the place of an earlier. */
  setFrontier(room: number, seq: number, item: Uint8Array): void {
    this.frontiers.setNewest(room, { seq, item });
  }

  /** Seq of the frontier of a room in this delta, or 0. */
  frontierSeq(room: number): number {
    return this.frontiers.get(room)?.seq ?? 0;
  }

  /** Appends the root of a tile of a room. */
  appendTile(room: number, seq: number, item: Uint8Array): void {
    const run = this.tiles.get(room);
    if (run === undefined) this.tiles.set(room, { seqFirst: seq, items: [item] });
    else push(run, seq, item);
  }

  /** Appends to the shard's log: a leaf's hash, or the root of a tile. */
  appendLog(level: number, seq: number, item: Uint8Array): void {
    const run = this.log[level];
    if (run !== undefined) {
      push(run, seq, item);
      return;
    }
    while (this.log.length <= level) this.log.push(undefined);
    this.log[level] = { seqFirst: seq, items: [item] };
  }

  /** An item, or null. */
  find(tape: number, seq: number): Uint8Array | null {
    if (tape < tilesStart) {
      const frontier = this.frontiers.get(tape - tapesStart);
      return frontier?.seq === seq ? frontier.item : null;
    }
    const run = this.runOf(tape);
    return run?.items[seq - run.seqFirst] ?? null;
  }

  private runOf(tape: number): Run | undefined {
    const level = 2 ** 32 - 1 - tape;
    return level < logLevels ? this.log[level] : this.tiles.get(tape - tilesStart);
  }

  /** Appends the next items to a block of history; false when some are left. */
  fill(writer: HistoryBlockWriter): boolean {
    this.order ??= this.sorted();
    for (; this.orderAt < this.order.length; this.orderAt += 1) {
      const tape = this.order[this.orderAt] ?? 0;
      const frontier = tape < tilesStart ? this.frontiers.get(tape - tapesStart) : undefined;
      const run = frontier === undefined ? this.runOf(tape) : undefined;
      const items = frontier === undefined ? (run?.items ?? noItems) : [frontier.item];
      const seqFirst = frontier?.seq ?? run?.seqFirst ?? 0;
      for (; this.itemAt < items.length; this.itemAt += 1) {
        const item = items[this.itemAt];
        assert(item !== undefined, "MCH-20: a tape has no holes");
        const view = new DataView(item.buffer, item.byteOffset, item.byteLength);
        const seq = seqFirst + this.itemAt;
        if (!writer.tryAppend(tape, seq, item, view, 0, item.length)) return false;
      }
      this.itemAt = 0;
    }
    return true;
  }

  private sorted(): Float64Array {
    const tapes = new Float64Array(this.frontiers.size + this.tiles.size + this.log.length);
    let at = 0;
    for (const room of this.frontiers.keys()) {
      tapes[at] = frontierTape(room);
      at += 1;
    }
    for (const room of this.tiles.keys()) {
      tapes[at] = tileTape(room);
      at += 1;
    }
    for (let level = 0; level < this.log.length; level += 1) {
      tapes[at] = logTape(level);
      at += 1;
    }
    return tapes.sort();
  }
}

function push(run: Run, seq: number, item: Uint8Array): void {
  assert(seq === run.seqFirst + run.items.length, "MCH-20: a tape has no holes");
  run.items.push(item);
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
