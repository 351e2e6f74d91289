import { entryFixedBytes, entrySaltBytes } from "#replica/wire/entry.ts";
import { cellKinds, cellsMax } from "./cell-table.ts";
import type { MachineTables } from "./machine-tables.ts";

/** Marks of a room, and how many of them lie in what is to be kept. */
const marksMax = 16;
const marksKept = 8;
/** Bytes that an entry has at least: those of before the count began count with it. */
const entryBytesMin = entryFixedBytes + entrySaltBytes + 1;
/** Cells that one count adds at most. */
const cellsPerCount = 8;

const empty = new Uint8Array(0);

/**
 * Bytes of the entries of a room or thread whose retention is by bytes, counted as they are
 * written; every eighth of what is to be kept a mark says at which seq the count stood where. So
 * how much lies behind a seq follows from a few cells, never from reading history, and is at least
 * what is said: an entry that was not counted has `entryBytesMin`, a mark lies at the seq or later.
 */
export class ByteMarks {
  private readonly tables: MachineTables;

  constructor(tables: MachineTables) {
    this.tables = tables;
  }

  /** Entry `seq` of a room that is to keep `limit` bytes is written and has so many. */
  count(room: number, seq: number, bytes: number, limit: number): void {
    // A count that is left out makes what is known to lie behind a seq less, never more.
    if (this.tables.cells.count + cellsPerCount > cellsMax) return;
    const total = this.get(room, cellKinds.bytesCounted);
    if (total === 0) this.set(room, cellKinds.bytesFrom, 0, seq);
    if (total >= this.get(room, cellKinds.bytesNextMark)) {
      const mark = this.get(room, cellKinds.bytesMarks);
      this.set(room, cellKinds.bytesMarks, 0, mark + 1);
      this.set(room, cellKinds.bytesMarkSeq, mark % marksMax, seq);
      this.set(room, cellKinds.bytesMarkTotal, mark % marksMax, total);
      this.set(room, cellKinds.bytesNextMark, 0, total + Math.ceil(limit / marksKept));
    }
    this.set(room, cellKinds.bytesCounted, 0, total + bytes);
  }

  /** The highest floor of a room that is known to leave `limit` bytes; below 1 = none. */
  floorFor(room: number, head: number, limit: number): number {
    const total = this.get(room, cellKinds.bytesCounted);
    const end = this.get(room, cellKinds.bytesMarks);
    for (let mark = end - 1; mark >= Math.max(0, end - marksMax); mark -= 1) {
      const before = this.get(room, cellKinds.bytesMarkTotal, mark % marksMax);
      if (total - before >= limit) {
        return this.get(room, cellKinds.bytesMarkSeq, mark % marksMax);
      }
    }
    const from = total === 0 ? head + 1 : this.get(room, cellKinds.bytesFrom);
    return from - Math.ceil(Math.max(0, limit - total) / entryBytesMin);
  }

  private get(room: number, kind: number, number = 0): number {
    return this.tables.cells.get(room, kind, number, empty, 0, 0);
  }

  private set(room: number, kind: number, number: number, value: number): void {
    this.tables.setCell(room, kind, number, empty, 0, 0, value);
  }
}
