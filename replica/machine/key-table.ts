import { assert } from "#replica/base/assert.ts";

/** Milliseconds of keys' own time that share a generation: 2^20, about 17.5 minutes. */
export const generationMs = 2 ** 20;

const pageSlots = 512;
/** A page splits above this: chains of probes stay short. */
const pageFillMax = 400;
const depthMax = 24;
const recordPageBits = 12;
const recordPageSize = 1 << recordPageBits;

/** A page of the index: pairs of fingerprint and locator + 1 (0 = empty). */
class IndexPage {
  readonly slots = new Int32Array(2 * pageSlots);
  count = 0;
  depth: number;

  constructor(depth: number) {
    this.depth = depth;
  }
}

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
  private directory: Uint32Array = new Uint32Array(1);
  private readonly pages: IndexPage[] = [new IndexPage(0)];
  private readonly records: RecordPage[] = [];

  get memoryBytes(): number {
    const records = this.records.length * recordPageSize * 14;
    return this.pages.length * pageSlots * 8 + 4 * this.directory.length + records;
  }

  /** Seq of the key's first use if one with this hash in this room is known after `locator`. */
  next(room: number, fingerprint: number, check: number, cursor: Cursor): boolean {
    const page = this.pageOf(fingerprint);
    const { slots } = page;
    let slot = cursor.slot < 0 ? fingerprint & (pageSlots - 1) : cursor.slot;
    for (;;) {
      const locator = (slots[2 * slot + 1] ?? 0) - 1;
      if (locator < 0) return false;
      const matches = slots[2 * slot] === fingerprint;
      slot = (slot + 1) & (pageSlots - 1);
      if (!matches) continue;
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
    while (page.count >= pageFillMax && page.depth < depthMax) {
      this.split(fingerprint, page);
      page = this.pageOf(fingerprint);
    }
    assert(page.count < pageSlots - 1, "MCH-13: page is full");
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
    placeKey(page, fingerprint, locator + 1);
  }

  private pageOf(fingerprint: number): IndexPage {
    const entry = this.depth === 0 ? 0 : fingerprint >>> (32 - this.depth);
    const page = this.pages[this.directory[entry] ?? 0];
    assert(page !== undefined, "MCH-13: directory");
    return page;
  }

  private split(fingerprint: number, page: IndexPage): void {
    if (page.depth === this.depth) this.double();
    const depth = page.depth + 1;
    const low = new IndexPage(depth);
    const high = new IndexPage(depth);
    for (let slot = 0; slot < pageSlots; slot += 1) {
      const locator = page.slots[2 * slot + 1] ?? 0;
      if (locator === 0) continue;
      const moving = page.slots[2 * slot] ?? 0;
      placeKey(((moving >>> (32 - depth)) & 1) === 0 ? low : high, moving, locator);
    }
    const span = 2 ** (this.depth - page.depth);
    const first = (fingerprint >>> (32 - this.depth)) & ~(span - 1);
    const number = this.directory[first] ?? 0;
    this.pages[number] = low;
    this.pages.push(high);
    this.directory.fill(this.pages.length - 1, first + span / 2, first + span);
  }

  private double(): void {
    assert(this.depth < depthMax, "MCH-13: directory depth");
    const larger = new Uint32Array(2 * this.directory.length);
    for (let i = 0; i < larger.length; i += 1) larger[i] = this.directory[i >>> 1] ?? 0;
    this.directory = larger;
    this.depth += 1;
  }
}

function placeKey(page: IndexPage, fingerprint: number, locator: number): void {
  let slot = fingerprint & (pageSlots - 1);
  while (page.slots[2 * slot + 1] !== 0) slot = (slot + 1) & (pageSlots - 1);
  page.slots[2 * slot] = fingerprint;
  page.slots[2 * slot + 1] = locator;
  page.count += 1;
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
    return generation.next(room, hash[0] ?? 0, hash[1] ?? 0, cursor);
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
    generation.add(room, seq, hash[0] ?? 0, hash[1] ?? 0);
    this.total += 1;
  }
}
