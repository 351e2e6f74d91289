import { assert } from "#replica/base/assert.ts";
import { writeU64 } from "#replica/base/bytes.ts";
import { entryFixedBytes, entryTypes } from "#replica/wire/entry.ts";
import { HistoryBlockWriter } from "#replica/wire/history-block.ts";
import { cellKinds, type CellChanges, type CellTable } from "./cell-table.ts";
import type { DirtyRooms } from "./dirty-rooms.ts";
import type { EntryStore } from "./entry-store.ts";
import { keyRowBytes, keyTimeMs, writeKeyRow } from "./key-row.ts";
import { keyedHash } from "./keyed-hash.ts";
import type { Ledger } from "./ledger.ts";
import type { FrozenDelta } from "./port.ts";
import type { RoomTable } from "./room-table.ts";

/** Addresses collected at a time: bounds the work of one step in a room with many entries. */
const batchMax = 64;
/** Bytes of a room's row before its name record. */
export const roomRowFixedBytes = 28;

/** What a delta is cut out of, and where it begins and ends. */
export interface DeltaParts {
  readonly op: number;
  readonly state: Uint8Array;
  readonly keyFloorMs: number;
  readonly sweepPhase: number;
  readonly store: EntryStore;
  readonly rooms: RoomTable;
  readonly dirty: DirtyRooms;
  readonly cells: CellTable;
  /** Cells that were set in it, with their values at its end. */
  readonly changes: CellChanges;
  /** Entries with addresses in [start, end) belong to it. */
  readonly start: number;
  readonly end: number;
  /** Rooms in [roomFirst, roomEnd) were created in it. */
  readonly roomFirst: number;
  readonly roomEnd: number;
  readonly ledger: Ledger | null;
  readonly key0: number;
  readonly key1: number;
}

/**
 * One frozen interval of the log, read section by section in canonical order: entries by (room,
 * seq), rooms by number, keys by (room, seq). The store keeps its entries until the release.
 */
export class Delta implements FrozenDelta {
  readonly op: number;
  readonly state: Uint8Array;
  readonly keyFloorMs: number;
  readonly sweepPhase: number;
  readonly parts: DeltaParts;
  private section: "history" | "rooms" | "keys" = "history";
  private roomNext: number;
  /** Walk over the entries: current room, -1 = between rooms. */
  private room = -1;
  private from = 0;
  private seq = 0;
  private seqLast = 0;
  private readonly batch = new Float64Array(batchMax);
  private batchAt = 0;
  private batchEnd = 0;
  private readonly hash = new Int32Array(2);
  /** Walk over the cells: bucket, its cells in order, next of them. */
  private bucket = -1;
  private bucketCells: readonly number[] = [];
  private bucketAt = 0;

  constructor(parts: DeltaParts) {
    this.parts = parts;
    this.op = parts.op;
    this.state = parts.state;
    this.keyFloorMs = parts.keyFloorMs;
    this.sweepPhase = parts.sweepPhase;
    this.roomNext = parts.roomFirst;
  }

  /** Fills a block with the next rows of a section; 0 = the section is exhausted. */
  fill(section: "history" | "rooms" | "keys", block: Uint8Array): number {
    if (section !== this.section) {
      assert(section !== "history", "MCH-08: sections are read in order, once");
      this.section = section;
      this.rewind();
    }
    if (section === "history") return this.fillHistory(block);
    return section === "rooms" ? this.fillRooms(block) : this.fillKeys(block);
  }

  private rewind(): void {
    this.room = -1;
    this.from = 0;
    this.batchAt = 0;
    this.batchEnd = 0;
  }

  private fillHistory(block: Uint8Array): number {
    const { store } = this.parts;
    const writer = new HistoryBlockWriter(block);
    for (let at = this.peek(); at >= 0; at = this.peek()) {
      const from = store.bytesOf(at);
      const view = store.viewOf(at);
      const start = store.offsetOf(at);
      const length = store.lengthOf(at);
      if (!writer.tryAppend(this.room, this.seq, from, view, start, length)) return writer.used;
      this.advance();
    }
    // Behind the last room: what proofs need, under reserved numbers.
    this.parts.ledger?.fill(this.op, writer);
    return writer.used;
  }

  /**
   * Rows of rooms: length u32, room u32, epoch u32, floor u64, creation time u64, the name record.
   * Then rows of cells, by hash.
   */
  private fillRooms(block: Uint8Array): number {
    const { rooms, roomEnd } = this.parts;
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    let used = 0;
    for (; this.roomNext < roomEnd; this.roomNext += 1) {
      const room = this.roomNext;
      const record = rooms.nameRecord(room);
      if (used + roomRowFixedBytes + record.length > block.length) break;
      const page = rooms.page(room);
      const at = rooms.at(room);
      view.setUint32(used, roomRowFixedBytes + record.length, true);
      view.setUint32(used + 4, room, true);
      view.setUint32(used + 8, page.epoch[at] ?? 0, true);
      writeU64(view, used + 12, this.floorOf(room, page.floor[at] ?? 0));
      writeU64(view, used + 20, page.createdUs[at] ?? 0);
      block.set(record, used + roomRowFixedBytes);
      used += roomRowFixedBytes + record.length;
    }
    return this.roomNext < roomEnd ? used : this.fillCells(block, view, used);
  }

  /**
   * Floor of a new room as of the freeze. A trim since then has moved it to `now`; a checkpoint
   * that had it would depend on how late it was written, and repeat that trim as a stale one.
   */
  private floorOf(room: number, now: number): number {
    if (now === 1) return 1;
    const { cells, changes } = this.parts;
    const floor = Math.max(1, cells.valueIn(changes, room, cellKinds.floor));
    assert(floor <= now, "MCH-25: a floor only rises");
    return floor;
  }

  private fillCells(block: Uint8Array, view: DataView, from: number): number {
    const { cells, changes } = this.parts;
    let used = from;
    for (;;) {
      const values = changes[this.bucket];
      for (; this.bucketAt < this.bucketCells.length; this.bucketAt += 1) {
        const cell = this.bucketCells[this.bucketAt] ?? 0;
        const bytes = cells.rowBytes(cell);
        if (used + bytes > block.length) return used;
        cells.writeRow(block, view, used, cell, values?.get(cell) ?? 0);
        used += bytes;
      }
      if (this.bucket + 1 >= changes.length) return used;
      this.bucket += 1;
      const next = changes[this.bucket];
      this.bucketCells = next === undefined ? [] : cells.sorted(next);
      this.bucketAt = 0;
    }
  }

  private fillKeys(block: Uint8Array): number {
    const { store, key0, key1, keyFloorMs } = this.parts;
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    let used = 0;
    for (let at = this.peek(); at >= 0; at = this.peek()) {
      if (used + keyRowBytes > block.length) break;
      const bytes = store.bytesOf(at);
      const entry = store.offsetOf(at);
      const keyMs = keyTimeMs(bytes, entry + 32);
      // The machine wrote that a thread began; the key is that of the answer in the thread.
      if (keyMs >= keyFloorMs && bytes[entry + 1] !== entryTypes.thread) {
        const sender = bytes[entry + 2] ?? 0;
        const senderAt = entry + entryFixedBytes;
        keyedHash(this.hash, key0, key1, this.room, bytes, entry + 32, 16, senderAt, sender);
        writeKeyRow(view, used, keyMs, this.room, this.seq, this.hash);
        used += keyRowBytes;
      }
      this.advance();
    }
    return used;
  }

  /** Address of the next entry, whose room and seq are then in the fields; -1 at the end. */
  private peek(): number {
    if (this.batchAt === this.batchEnd && !this.collect()) return -1;
    return this.batch[this.batchAt] ?? -1;
  }

  private advance(): void {
    this.batchAt += 1;
    this.seq += 1;
  }

  /** Collects addresses of the next entries in ascending order of seq. */
  private collect(): boolean {
    const { store, rooms } = this.parts;
    if (this.room < 0 || this.seq > this.seqLast) {
      if (!this.nextRoom()) return false;
    }
    const last = Math.min(this.seq + batchMax - 1, this.seqLast);
    const newest = rooms.page(this.room).newest[rooms.at(this.room)] ?? -1;
    let at = store.find(newest, last);
    this.batchAt = 0;
    this.batchEnd = last - this.seq + 1;
    for (let i = this.batchEnd - 1; i >= 0; i -= 1) {
      assert(at >= 0, "MCH-08: entries of a frozen delta are in memory");
      this.batch[i] = at;
      at = store.previousOf(at);
    }
    return true;
  }

  private nextRoom(): boolean {
    const { store, rooms, dirty, start, end } = this.parts;
    const room = dirty.next(this.from);
    if (room < 0) return false;
    this.from = room + 1;
    this.room = room;
    const newest = store.newestBelow(rooms.page(room).newest[rooms.at(room)] ?? -1, end);
    assert(newest >= start, "MCH-08: a dirty room has entries in the delta");
    this.seqLast = store.seqAt(newest);
    this.seq = store.seqAt(store.oldestFrom(newest, start));
    return true;
  }
}
