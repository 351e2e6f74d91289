import { assert } from "#replica/base/assert.ts";

/** Milliseconds of keys' own time that share a generation: 2^20, about 17.5 minutes. */
export const generationMs = 2 ** 20;

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

/** Where the keys of a generation were used; later this column moves to disk. */
class RecordPage {
  readonly room = new Uint32Array(recordPageSize);
  readonly seqLow = new Uint32Array(recordPageSize);
  readonly seqHigh = new Uint16Array(recordPageSize);
  /** The half of the hash that the index does not hold. */
  readonly check = new Int32Array(recordPageSize);
}

/**
 * Keys of one generation by extendible hashing (Fagin 1979): a directory of pages that split one
 * at a time. Fingerprint: its high bits choose the page, its low bits the slot.
 */
class Generation {
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

  get memoryBytes(): number {
    const records = this.records.length * recordPageSize * 14;
    return this.slabs.length * slabPages * pageInts * 4 + 4 * this.directory.length + records;
  }

  /** Moves to the next key with this hash in this room. */
  next(room: number, fingerprint: number, check: number, cursor: Cursor): boolean {
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

  add(room: number, seq: number, fingerprint: number, check: number): void {
    let page = this.pageOf(fingerprint);
    while ((this.used[page] ?? 0) >= pageFillMax && (this.depths[page] ?? 0) < depthMax) {
      this.split(fingerprint, page);
      page = this.pageOf(fingerprint);
    }
    assert((this.used[page] ?? 0) < pageSlots - 1, "MCH-13: page is full");
    const locator = this.count;
    if (locator >>> recordPageBits === this.records.length) this.records.push(new RecordPage());
    const record = this.records[locator >>> recordPageBits];
    assert(record !== undefined, "MCH-13: locator");
    const at = locator & (recordPageSize - 1);
    record.room[at] = room;
    record.seqLow[at] = seq % 2 ** 32;
    record.seqHigh[at] = Math.floor(seq / 2 ** 32);
    record.check[at] = check;
    this.count += 1;
    this.place(page, fingerprint, locator);
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
    if (page % slabPages === 0) this.slabs.push(new Int32Array(slabPages * pageInts));
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

/** The half of the hash that the index holds; never 0, which stands for an empty slot. */
function fingerprintOf(hash: Int32Array): number {
  const half = hash[0] ?? 0;
  return half === 0 ? 1 : half;
}

/** Position of a lookup; one object serves all. */
export interface Cursor {
  /** -1 = start. */
  slot: number;
  /** Seq of the candidate found. */
  seq: number;
}

/**
 * Index of remembered keys, by generations of their own time: a key lies in the generation that
 * its UUIDv7 names, and a generation goes as a whole once each key in it would be refused as too
 * old. What it finds is a candidate; the caller compares the stored entry.
 */
export class KeyTable {
  private readonly generations = new Map<number, Generation>();
  private total = 0;
  private floor = 0;

  /** Keys remembered: those of all generations that are not expired. Part of the state. */
  get count(): number {
    return this.total;
  }

  /** Lowest generation that is remembered. */
  get generationFloor(): number {
    return this.floor;
  }

  /** Approximate bytes of memory held. */
  get memoryBytes(): number {
    let bytes = 0;
    for (const generation of this.generations.values()) bytes += generation.memoryBytes;
    return bytes;
  }

  /** Forgets every generation whose last key has an own time below `floorMs`. */
  expire(floorMs: number): void {
    const floor = Math.max(0, Math.floor(floorMs / generationMs));
    if (floor <= this.floor) return;
    for (const [number, generation] of this.generations) {
      if (number >= floor) continue;
      this.total -= generation.count;
      this.generations.delete(number);
    }
    this.floor = floor;
  }

  /** Moves the cursor to the next candidate for a key; false when there is none (left). */
  next(keyMs: number, room: number, hash: Int32Array, cursor: Cursor): boolean {
    const generation = this.generations.get(Math.floor(keyMs / generationMs));
    if (generation === undefined) return false;
    return generation.next(room, fingerprintOf(hash), hash[1] ?? 0, cursor);
  }

  /** Remembers a key. */
  add(keyMs: number, room: number, seq: number, hash: Int32Array): void {
    const number = Math.floor(keyMs / generationMs);
    assert(number >= this.floor, "MCH-05: a key to remember is not too old");
    let generation = this.generations.get(number);
    if (generation === undefined) {
      generation = new Generation();
      this.generations.set(number, generation);
    }
    generation.add(room, seq, fingerprintOf(hash), hash[1] ?? 0);
    this.total += 1;
  }
}
