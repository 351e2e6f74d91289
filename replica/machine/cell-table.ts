import { assert } from "#replica/base/assert.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import { keyedHash } from "./keyed-hash.ts";
import { NameStore } from "./name-store.ts";

/**
 * What a cell says, by kind. A cell belongs to a room (or to a tenant: {@link tenantScope}) and is
 * named by a number and a subject besides; one without a value counts as 0.
 */
export const cellKinds = {
  /** Subject user: seq of the joining × 8 + role + 1. */
  role: 1,
  /** Subject user: log time until which, microseconds. */
  ban: 2,
  mute: 3,
  /** Bits of settings. */
  settings: 4,
  /** Subject user: seq read up to. */
  marker: 5,
  /** Number seq of an entry: log time of its redaction (version 1: seq of the redaction). */
  redacted: 6,
  /** Number seq of a message: seq of its last edit × 64 + edits. */
  edits: 7,
  /** Number seq of an edit: seq of the edit before. */
  edit: 8,
  /** People with a role. */
  members: 9,
  threads: 10,
  /** Rooms of a tenant (scope {@link tenantScope}). */
  rooms: 11,
  quotaVersion: 12,
  quotaRooms: 13,
  quotaMembers: 14,
  quotaRate: 15,
  /** Second of log time × 2^20 + entries in it. */
  rate: 16,
  retainVersion: 17,
  /** Seconds, entries, 1 = legal hold. */
  retainAge: 18,
  retainEntries: 19,
  hold: 20,
  /** Seq of a room's first entry that is not gone. */
  floor: 21,
  /** Floor as of the beginning of the sweep under way, and number of that sweep. */
  floorBefore: 22,
  floorSweep: 23,
  /** Of the shard ({@link tenantScope}, no subject): checkpoints, log time of the last sweep. */
  freezes: 24,
  sweepUs: 25,
  retainBytes: 26,
  /** Of a room or thread that is to keep so many bytes (byte-marks.ts): bytes counted so far. */
  bytesCounted: 27,
  /** Seq at which the count began; count at which the next mark is due; marks so far. */
  bytesFrom: 28,
  bytesNextMark: 29,
  bytesMarks: 30,
  /** Number of a mark, modulo 16: seq and count before it. */
  bytesMarkSeq: 31,
  bytesMarkTotal: 32,
} as const;

/** Stands for the room in a tenant's cells; the tenant is their subject. */
export const tenantScope = 2 ** 32 - 1;
/** Cells of a shard at most: about 0.5 GiB. */
export const cellsMax = 8_000_000;
/** Bytes of a cell's row before its subject. */
export const cellRowFixedBytes = 36;
/** Set in the second word of a cell's row, never in that of a room's. */
export const cellRowMark = 0x8000_0000;

const pageBits = 12;
const pageCells = 1 << pageBits;
const pageMask = pageCells - 1;
const movesPerInsert = 16;
const bucketsCount = 256;

/** Columns of 4,096 cells. */
class CellPage {
  readonly room = new Uint32Array(pageCells);
  readonly kind = new Uint8Array(pageCells);
  readonly number = new Float64Array(pageCells);
  readonly value = new Float64Array(pageCells);
  readonly hash0 = new Int32Array(pageCells);
  readonly hash1 = new Int32Array(pageCells);
  readonly subjectAt = new Uint32Array(pageCells);
  readonly subjectBytes = new Uint8Array(pageCells);
}

/** Cells changed in one interval between checkpoints: number to value, by the hash's high bits. */
export type CellChanges = readonly (ReadonlyMap<number, number> | undefined)[];

/** Small facts that the rules need: who is what in which room, and counters. */
export class CellTable {
  private readonly pages: CellPage[] = [];
  private readonly subjects = new NameStore();
  private readonly key0: number;
  private readonly key1: number;
  private readonly hash = new Int32Array(2);
  private readonly scratch = new Uint8Array(9 + 255);
  private readonly scratchView = new DataView(this.scratch.buffer);
  /** Open addressing; cell number + 1, 0 = empty. */
  private index: Uint32Array = new Uint32Array(1024);
  private old: Uint32Array | null = null;
  private moved = 0;
  private cells = 0;
  private changes: (Map<number, number> | undefined)[] = new Array(bucketsCount);

  /** Two words that key the hash. */
  constructor(key0: number, key1: number) {
    this.key0 = key0;
    this.key1 = key1;
  }

  /** Cells that were ever set. Part of the state. */
  get count(): number {
    return this.cells;
  }

  /** Approximate bytes of memory held. */
  get memoryBytes(): number {
    const index = 4 * (this.index.length + (this.old?.length ?? 0));
    return this.pages.length * pageCells * 34 + this.subjects.memoryBytes + index;
  }

  /** Value of a cell; 0 when it was never set. The subject lies in `bytes`, ≤ 255 bytes. */
  get(
    room: number,
    kind: number,
    number: number,
    bytes: Uint8Array,
    at: number,
    length: number,
  ): number {
    this.load(room, kind, number, bytes, at, length);
    const cell = this.find(room, length);
    return cell < 0 ? 0 : (this.page(cell).value[cell & pageMask] ?? 0);
  }

  /** Sets a cell; returns its value before. */
  set(
    room: number,
    kind: number,
    number: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    value: number,
  ): number {
    this.load(room, kind, number, bytes, at, length);
    let cell = this.find(room, length);
    if (cell < 0) cell = this.add(room, kind, number, length);
    const page = this.page(cell);
    const before = page.value[cell & pageMask] ?? 0;
    page.value[cell & pageMask] = value;
    const bucket = (page.hash0[cell & pageMask] ?? 0) >>> 24;
    let changes = this.changes[bucket];
    if (changes === undefined) {
      changes = new Map();
      this.changes[bucket] = changes;
    }
    changes.set(cell, value);
    return before;
  }

  /** What a cell without number and subject was set to in these changes; 0 = it was not. */
  valueIn(changes: CellChanges, room: number, kind: number): number {
    this.load(room, kind, 0, this.scratch, 0, 0);
    const cell = this.find(room, 0);
    return cell < 0 ? 0 : (changes[(this.hash[0] ?? 0) >>> 24]?.get(cell) ?? 0);
  }

  /** What was set since the last call. */
  takeChanges(): CellChanges {
    const { changes } = this;
    this.changes = new Array(bucketsCount);
    return changes;
  }

  /** Cells of one bucket of changes in canonical order: by hash, then by name. */
  sorted(changes: ReadonlyMap<number, number>): readonly number[] {
    return [...changes.keys()].sort((a, b) => this.compare(a, b));
  }

  /** Bytes of a cell's row. */
  rowBytes(cell: number): number {
    return cellRowFixedBytes + (this.page(cell).subjectBytes[cell & pageMask] ?? 0);
  }

  /**
   * Writes a row: its length u32, kind u32 with {@link cellRowMark}, the hash's halves u32 each,
   * room u32, number u64, value u64, subject.
   */
  writeRow(target: Uint8Array, view: DataView, offset: number, cell: number, value: number): void {
    const page = this.page(cell);
    const at = cell & pageMask;
    view.setUint32(offset, this.rowBytes(cell), true);
    view.setUint32(offset + 4, ((page.kind[at] ?? 0) | cellRowMark) >>> 0, true);
    view.setInt32(offset + 8, page.hash0[at] ?? 0, true);
    view.setInt32(offset + 12, page.hash1[at] ?? 0, true);
    view.setUint32(offset + 16, page.room[at] ?? 0, true);
    writeU64(view, offset + 20, page.number[at] ?? 0);
    writeU64(view, offset + 28, value);
    target.set(this.subjectOf(cell), offset + cellRowFixedBytes);
  }

  /** Calls `take` with the fields of the row at `offset`. */
  static readRow(
    view: DataView,
    offset: number,
    take: (room: number, kind: number, number: number, value: number) => void,
  ): void {
    const kind = view.getUint32(offset + 4, true) & 0xff;
    const number = readU64(view, offset + 20);
    take(view.getUint32(offset + 16, true), kind, number, readU64(view, offset + 28));
  }

  private load(
    room: number,
    kind: number,
    number: number,
    bytes: Uint8Array,
    at: number,
    length: number,
  ): void {
    const { scratch, hash, key0, key1 } = this;
    scratch[0] = kind;
    writeU64(this.scratchView, 1, number);
    for (let i = 0; i < length; i += 1) scratch[9 + i] = bytes[at + i] ?? 0;
    keyedHash(hash, key0, key1, room | 0, scratch, 0, 9, 9, length);
  }

  /** The cell that {@link load} describes, or -1. */
  private find(room: number, length: number): number {
    const found = this.probe(this.index, room, length);
    return found >= 0 || this.old === null ? found : this.probe(this.old, room, length);
  }

  private probe(index: Uint32Array, room: number, length: number): number {
    const mask = index.length - 1;
    const wanted = this.hash[0] ?? 0;
    for (let slot = wanted & mask; ; slot = (slot + 1) & mask) {
      const cell = (index[slot] ?? 0) - 1;
      if (cell < 0) return -1;
      const page = this.page(cell);
      const at = cell & pageMask;
      if (page.hash0[at] !== wanted || page.hash1[at] !== this.hash[1]) continue;
      if (page.room[at] !== room || page.kind[at] !== this.scratch[0]) continue;
      if (page.number[at] !== readU64(this.scratchView, 1)) continue;
      if (page.subjectBytes[at] !== length) continue;
      if (this.sameSubject(cell, length)) return cell;
    }
  }

  private sameSubject(cell: number, length: number): boolean {
    const subject = this.subjectOf(cell);
    for (let i = 0; i < length; i += 1) if (subject[i] !== this.scratch[9 + i]) return false;
    return true;
  }

  private subjectOf(cell: number): Uint8Array {
    const page = this.page(cell);
    const length = page.subjectBytes[cell & pageMask] ?? 0;
    if (length === 0) return this.scratch.subarray(0, 0);
    const address = page.subjectAt[cell & pageMask] ?? 0;
    const start = this.subjects.offsetOf(address);
    return this.subjects.bytesOf(address).subarray(start, start + length);
  }

  private add(room: number, kind: number, number: number, length: number): number {
    assert(this.cells < cellsMax, "MCH-14: the table of cells is full");
    const cell = this.cells;
    if (cell >>> pageBits === this.pages.length) this.pages.push(new CellPage());
    this.cells += 1;
    const page = this.page(cell);
    const at = cell & pageMask;
    page.room[at] = room;
    page.kind[at] = kind;
    page.number[at] = number;
    page.hash0[at] = this.hash[0] ?? 0;
    page.hash1[at] = this.hash[1] ?? 0;
    page.subjectBytes[at] = length;
    if (length > 0) {
      const address = this.subjects.reserve(length);
      page.subjectAt[at] = address;
      const start = this.subjects.offsetOf(address);
      this.subjects.bytesOf(address).set(this.scratch.subarray(9, 9 + length), start);
    }
    this.insert(cell);
    return cell;
  }

  private insert(cell: number): void {
    if (this.old === null && 2 * this.cells > this.index.length) {
      this.old = this.index;
      this.index = new Uint32Array(2 * this.index.length);
      this.moved = 0;
    }
    this.place(cell);
    const { old } = this;
    if (old === null) return;
    const end = Math.min(this.moved + movesPerInsert, old.length);
    // The old slots stay: a chain of probes through them must not break.
    for (; this.moved < end; this.moved += 1) {
      const moving = (old[this.moved] ?? 0) - 1;
      if (moving >= 0) this.place(moving);
    }
    if (this.moved === old.length) this.old = null;
  }

  private place(cell: number): void {
    const mask = this.index.length - 1;
    let slot = (this.page(cell).hash0[cell & pageMask] ?? 0) & mask;
    while (this.index[slot] !== 0) slot = (slot + 1) & mask;
    this.index[slot] = cell + 1;
  }

  private page(cell: number): CellPage {
    const page = this.pages[cell >>> pageBits];
    assert(page !== undefined, "MCH-14: cell number");
    return page;
  }

  private compare(a: number, b: number): number {
    const [one, other] = [this.page(a), this.page(b)];
    const [i, j] = [a & pageMask, b & pageMask];
    const columns = ["hash0", "hash1", "room", "kind", "number"] as const;
    for (const column of columns) {
      let difference = (one[column][i] ?? 0) - (other[column][j] ?? 0);
      if (column === "hash0" || column === "hash1") {
        difference = ((one[column][i] ?? 0) >>> 0) - ((other[column][j] ?? 0) >>> 0);
      }
      if (difference !== 0) return difference;
    }
    const [left, right] = [this.subjectOf(a), this.subjectOf(b)];
    for (let at = 0; at < left.length && at < right.length; at += 1) {
      const difference = (left[at] ?? 0) - (right[at] ?? 0);
      if (difference !== 0) return difference;
    }
    return left.length - right.length;
  }
}
