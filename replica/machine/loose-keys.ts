import { assert } from "#replica/base/assert.ts";
import type { KeyRun } from "./key-run.ts";
import { restOf, RunWriter } from "./key-run.ts";

const pageSlots = 512;
/** A page splits above this: chains of probes stay short. */
const pageFillMax = 384;
const depthMax = 24;
const recordPageBits = 12;
const recordPageSize = 1 << recordPageBits;

/** Pages that share one array: few arrays mean few misses of the processor's cache. */
const slabPages = 16;
/** A page in its slab: fingerprints (0 = empty), then locators. */
const pageInts = 2 * pageSlots;

/** Records of a table's first page at first: most tables of old times hold a few late keys. */
const recordsFirst = 256;

/** Where keys were used. */
class RecordPage {
  readonly room: Uint32Array;
  readonly seqLow: Uint32Array;
  readonly seqHigh: Uint16Array;
  /** The half of the hash that the index does not hold. */
  readonly check: Int32Array;

  constructor(size: number) {
    this.room = new Uint32Array(size);
    this.seqLow = new Uint32Array(size);
    this.seqHigh = new Uint16Array(size);
    this.check = new Int32Array(size);
  }

  /** The same records with room for twice as many. */
  grown(): RecordPage {
    const larger = new RecordPage(Math.min(recordPageSize, 2 * this.room.length));
    larger.room.set(this.room);
    larger.seqLow.set(this.seqLow);
    larger.seqHigh.set(this.seqHigh);
    larger.check.set(this.check);
    return larger;
  }
}

/**
 * Keys that can still become more, by extendible hashing (Fagin 1979): a directory of pages that
 * split one at a time. Fingerprint: its high bits choose the page, its low bits the slot. About 31
 * bytes a key; {@link LooseWalk} makes a run of them.
 */
export class LooseKeys {
  count = 0;
  private depth = 0;
  private directory: Int32Array = new Int32Array(1);
  private readonly slabs: Int32Array[] = [];
  private readonly records: RecordPage[] = [];
  private pages = 0;
  /** Keys in each page, and how many bits of a fingerprint lead to it. */
  private readonly used: number[] = [];
  private readonly depths: number[] = [];

  constructor() {
    this.addPage(0);
  }

  /** Bytes of memory held. */
  get memoryBytes(): number {
    let bytes = 4 * this.directory.length;
    for (const slab of this.slabs) bytes += slab.byteLength;
    for (const record of this.records) bytes += 14 * record.room.length;
    return bytes;
  }

  /** Moves to the next key with this hash in this room. */
  next(room: number, fingerprint: number, check: number, cursor: LooseCursor): boolean {
    const page = this.pageOf(fingerprint);
    const slab = this.slabOf(page);
    const start = (page % slabPages) * pageInts;
    let slot = cursor.slot < 0 ? fingerprint & (pageSlots - 1) : cursor.slot;
    for (;;) {
      const here = slab[start + slot] ?? 0;
      if (here === 0) return false;
      const locator = here === fingerprint ? (slab[start + pageSlots + slot] ?? 0) : -1;
      slot = (slot + 1) & (pageSlots - 1);
      if (locator < 0) continue;
      const record = this.records[locator >>> recordPageBits];
      assert(record !== undefined, "MCH-13: locator");
      const at = locator & (recordPageSize - 1);
      if (record.room[at] !== room || record.check[at] !== check) continue;
      cursor.slot = slot;
      cursor.seq = (record.seqHigh[at] ?? 0) * 2 ** 32 + (record.seqLow[at] ?? 0);
      return true;
    }
  }

  /** Adds a key. */
  add(room: number, seq: number, fingerprint: number, check: number): void {
    let page = this.pageOf(fingerprint);
    while ((this.used[page] ?? 0) >= pageFillMax && (this.depths[page] ?? 0) < depthMax) {
      this.split(fingerprint, page);
      page = this.pageOf(fingerprint);
    }
    assert((this.used[page] ?? 0) < pageSlots - 1, "MCH-13: page is full");
    const locator = this.count;
    const at = locator & (recordPageSize - 1);
    const record = this.recordFor(locator >>> recordPageBits, at);
    record.room[at] = room;
    record.seqLow[at] = seq % 2 ** 32;
    record.seqHigh[at] = Math.floor(seq / 2 ** 32);
    record.check[at] = check;
    this.count += 1;
    this.place(page, fingerprint, locator);
  }

  /** The page that has room for a record at this position. */
  private recordFor(number: number, at: number): RecordPage {
    const record = this.records[number];
    if (record !== undefined && at < record.room.length) return record;
    const larger = record?.grown() ?? new RecordPage(number === 0 ? recordsFirst : recordPageSize);
    this.records[number] = larger;
    return larger;
  }

  /** Entries of the directory. */
  get directoryLength(): number {
    return this.directory.length;
  }

  /** Calls `take` for each key of the page at `entry`; returns the next page's entry. */
  walk(entry: number, take: (fingerprint: number, check: number, seqLow: number) => void): number {
    const page = this.directory[entry] ?? 0;
    const depth = this.depths[page] ?? 0;
    const slab = this.slabOf(page);
    const start = (page % slabPages) * pageInts;
    for (let slot = 0; slot < pageSlots; slot += 1) {
      const fingerprint = slab[start + slot] ?? 0;
      if (fingerprint === 0) continue;
      const locator = slab[start + pageSlots + slot] ?? 0;
      const record = this.records[locator >>> recordPageBits];
      assert(record !== undefined, "MCH-13: locator");
      const at = locator & (recordPageSize - 1);
      take(fingerprint, record.check[at] ?? 0, record.seqLow[at] ?? 0);
    }
    return entry + 2 ** (this.depth - depth);
  }

  private place(page: number, fingerprint: number, locator: number): void {
    const slab = this.slabOf(page);
    const start = (page % slabPages) * pageInts;
    let slot = fingerprint & (pageSlots - 1);
    while (slab[start + slot] !== 0) slot = (slot + 1) & (pageSlots - 1);
    slab[start + slot] = fingerprint;
    slab[start + pageSlots + slot] = locator;
    this.used[page] = (this.used[page] ?? 0) + 1;
  }

  private pageOf(fingerprint: number): number {
    return this.directory[this.depth === 0 ? 0 : fingerprint >>> (32 - this.depth)] ?? 0;
  }

  private slabOf(page: number): Int32Array {
    const slab = this.slabs[Math.floor(page / slabPages)];
    assert(slab !== undefined, "MCH-13: page");
    return slab;
  }

  private addPage(depth: number): number {
    const page = this.pages;
    const number = Math.floor(page / slabPages);
    const slab = this.slabs[number];
    const needed = ((page % slabPages) + 1) * pageInts;
    if (slab === undefined || slab.length < needed) {
      // The first slab grows with the table; later ones are whole at once.
      const pages = number > 0 ? slabPages : Math.min(slabPages, 2 * (page % slabPages) + 1);
      const larger = new Int32Array(pages * pageInts);
      if (slab !== undefined) larger.set(slab);
      this.slabs[number] = larger;
    }
    this.pages += 1;
    this.used.push(0);
    this.depths.push(depth);
    return page;
  }

  /** Parts the keys of a page by their next bit: 0 stays, 1 moves to a new page. */
  private split(fingerprint: number, page: number): void {
    const before = this.depths[page] ?? 0;
    if (before === this.depth) this.double();
    const depth = before + 1;
    const start = (page % slabPages) * pageInts;
    const old = this.slabOf(page).slice(start, start + pageInts);
    this.slabOf(page).fill(0, start, start + pageInts);
    this.used[page] = 0;
    this.depths[page] = depth;
    const high = this.addPage(depth);
    for (let slot = 0; slot < pageSlots; slot += 1) {
      const moving = old[slot] ?? 0;
      if (moving === 0) continue;
      const target = ((moving >>> (32 - depth)) & 1) === 0 ? page : high;
      this.place(target, moving, old[pageSlots + slot] ?? 0);
    }
    const span = 2 ** (this.depth - before);
    const first = (fingerprint >>> (32 - this.depth)) & ~(span - 1);
    this.directory.fill(high, first + span / 2, first + span);
  }

  private double(): void {
    assert(this.depth < depthMax, "MCH-13: directory depth");
    const larger = new Int32Array(2 * this.directory.length);
    for (let i = 0; i < larger.length; i += 1) larger[i] = this.directory[i >>> 1] ?? 0;
    this.directory = larger;
    this.depth += 1;
  }
}

/** Makes a run of loose keys, some pages at a time; the keys must not change meanwhile. */
export class LooseWalk {
  private readonly keys: LooseKeys;
  private readonly writer: RunWriter;
  private entry = 0;
  private readonly buckets = new Uint32Array(pageSlots);
  private readonly rests = new Uint32Array(pageSlots);
  private readonly seqs = new Uint32Array(pageSlots);
  private readonly order = new Float64Array(pageSlots);

  constructor(keys: LooseKeys) {
    this.keys = keys;
    this.writer = new RunWriter(keys.count);
  }

  /** Takes about so many keys; the run when it is complete, else null. */
  step(keys: number): KeyRun | null {
    const { buckets, rests, seqs, writer } = this;
    const { bits } = writer.run;
    for (let taken = 0; taken < keys; ) {
      if (this.entry >= this.keys.directoryLength) return writer.finish();
      let count = 0;
      const next = this.keys.walk(this.entry, (fingerprint, check, seqLow) => {
        buckets[count] = fingerprint >>> (32 - bits);
        rests[count] = restOf(fingerprint, check, bits);
        seqs[count] = seqLow;
        count += 1;
      });
      this.entry = next;
      this.writePage(count);
      taken += count + pageSlots / 8;
    }
    return null;
  }

  /** A page holds one range of buckets; within it they are sorted by bucket. */
  private writePage(count: number): void {
    const { buckets, rests, seqs, writer } = this;
    const order = this.order.subarray(0, count);
    for (let i = 0; i < count; i += 1) order[i] = (buckets[i] ?? 0) * pageSlots + i;
    order.sort();
    for (const one of order) {
      const i = one % pageSlots;
      writer.add(buckets[i] ?? 0, rests[i] ?? 0, seqs[i] ?? 0);
    }
  }
}

/** Position of a lookup. */
export interface LooseCursor {
  /** -1 = start. */
  slot: number;
  /** Seq of the candidate found. */
  seq: number;
}
