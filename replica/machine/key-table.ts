import { assert } from "#replica/base/assert.ts";
import type { Cursor } from "./key-span.ts";
import { KeySpan } from "./key-span.ts";
import { StagedKeys } from "./staged-keys.ts";

/** Milliseconds of keys' own time that share a generation: 2^20, about 17.5 minutes. */
export const generationMs = 2 ** 20;
/** Milliseconds of keys' own time that are looked up together, 2^15: a new key meets few others. */
const spanMs = 2 ** 15;
const spansPerGeneration = generationMs / spanMs;
/** Loose keys of all spans together, above which the largest span is sealed. */
const looseMaxDefault = 2 ** 20;
/** Of that, loose keys of one span below which it is not worth a run. */
const sealShare = 1 / 1024;
/** Keys staged by a restore in all spans together, above which full spans become runs. */
const stagedTotalMax = 2 ** 23;
/** Keys of which one step makes runs: a millisecond or two. */
const settleKeys = 2 ** 16;
/** Keys that one step of work looks at, at least. */
const workLeast = 4096;

/** Keys of one generation: what is remembered or forgotten as a whole. */
class Generation {
  count = 0;
  readonly spans = new Array<KeySpan | undefined>(spansPerGeneration);

  span(keyMs: number): KeySpan | undefined {
    return this.spans[Math.floor(keyMs / spanMs) % spansPerGeneration];
  }
}

/** The half of the hash that chooses pages and buckets; never 0, which stands for an empty slot. */
function fingerprintOf(hash: Int32Array): number {
  const half = hash[0] ?? 0;
  return half === 0 ? 1 : half;
}

/**
 * Index of remembered keys, by generations of their own time: a key lies in the generation that
 * its UUIDv7 names, and a generation goes as a whole once each key in it would be refused as too
 * old. What it finds is a candidate; the caller compares the stored entry. How keys are held
 * (loose or in runs) is no part of the state.
 */
export class KeyTable {
  private readonly generations = new Map<number, Generation>();
  private total = 0;
  private floor = 0;
  /** Loose keys of all spans that are not being sealed. */
  private loose = 0;
  private added = 0;
  private readonly looseMax: number;
  /** The span that is being made smaller, and its generation. */
  private working: { readonly span: KeySpan; readonly generation: number } | null = null;

  /** Keys on their way from a checkpoint, by number of their span. */
  private readonly staged = new Map<number, StagedKeys>();
  private stagedTotal = 0;
  private settling = this.staged.entries();
  private pieces: Int32Array[] = [];

  /** `looseMax`: keys held loosely at most, but for those of small spans. */
  constructor(looseMax = looseMaxDefault) {
    this.looseMax = looseMax;
  }

  /** Runs held; for tests and benches. */
  get runsCount(): number {
    let count = 0;
    for (const { spans } of this.generations.values()) {
      for (const span of spans) count += span?.runsCount ?? 0;
    }
    return count;
  }

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
    for (const { spans } of this.generations.values()) {
      for (const span of spans) bytes += span?.memoryBytes ?? 0;
    }
    return bytes + 12 * this.stagedTotal;
  }

  /** Forgets every generation whose last key has an own time below `floorMs`. */
  expire(floorMs: number): void {
    const floor = Math.max(0, Math.floor(floorMs / generationMs));
    if (floor <= this.floor) return;
    for (const [number, generation] of this.generations) {
      if (number >= floor) continue;
      this.total -= generation.count;
      for (const span of generation.spans) this.loose -= span?.loose.count ?? 0;
      if (this.working?.generation === number) this.working = null;
      this.generations.delete(number);
    }
    this.floor = floor;
  }

  /**
   * Moves the cursor to the next candidate for a key of a room whose newest seq is `head`; false
   * when there is none (left). `recent`: of those added since the last {@link work} only.
   */
  next(
    keyMs: number,
    room: number,
    head: number,
    hash: Int32Array,
    cursor: Cursor,
    recent = false,
  ): boolean {
    const span = this.generations.get(Math.floor(keyMs / generationMs))?.span(keyMs);
    if (span === undefined) return false;
    if (recent) return span.loose.next(room, fingerprintOf(hash), hash[1] ?? 0, cursor);
    return span.next(room, head, fingerprintOf(hash), hash[1] ?? 0, cursor);
  }

  /** Remembers a key. */
  add(keyMs: number, room: number, seq: number, hash: Int32Array): void {
    const { generation, span } = this.spanFor(keyMs);
    span.loose.add(room, seq, fingerprintOf(hash), hash[1] ?? 0);
    generation.count += 1;
    this.total += 1;
    this.loose += 1;
    this.added += 1;
  }

  private spanFor(keyMs: number): { readonly generation: Generation; readonly span: KeySpan } {
    const number = Math.floor(keyMs / generationMs);
    assert(number >= this.floor, "MCH-05: a key to remember is not too old");
    let generation = this.generations.get(number);
    if (generation === undefined) {
      generation = new Generation();
      this.generations.set(number, generation);
    }
    let span = generation.span(keyMs);
    if (span === undefined) {
      span = new KeySpan();
      generation.spans[Math.floor(keyMs / spanMs) % spansPerGeneration] = span;
    }
    return { generation, span };
  }

  /** Remembers a key of a checkpoint; it counts and is found once {@link restoreStep} is done. */
  restore(keyMs: number, seqLow: number, hash0: number, hash1: number): void {
    const number = Math.floor(keyMs / spanMs);
    let staged = this.staged.get(number);
    if (staged === undefined) {
      staged = new StagedKeys(this.pieces);
      this.staged.set(number, staged);
    }
    this.stagedTotal += 1;
    if (staged.add(hash0 === 0 ? 1 : hash0, hash1, seqLow)) this.settle(number, staged);
    else if (this.stagedTotal > stagedTotalMax) this.settleNext();
  }

  /** Makes runs of some of the staged keys; false when none are left. */
  restoreStep(): boolean {
    let done = 0;
    for (const [number, staged] of this.staged) {
      if (done > settleKeys) return true;
      done += staged.count + 1024;
      this.settle(number, staged);
      this.staged.delete(number);
    }
    this.pieces = [];
    return false;
  }

  private settle(number: number, staged: StagedKeys): void {
    if (staged.count === 0) return;
    const { generation, span } = this.spanFor(number * spanMs);
    generation.count += staged.count;
    this.total += staged.count;
    this.stagedTotal -= staged.count;
    span.addRun(staged.takeRun());
  }

  /** Makes a run of the next span, in turn, that has as many keys as most. */
  private settleNext(): void {
    const least = this.stagedTotal / this.staged.size;
    for (;;) {
      const next = this.settling.next();
      if (next.done === true) {
        this.settling = this.staged.entries();
        continue;
      }
      const [number, staged] = next.value;
      if (staged.count < least) continue;
      this.settle(number, staged);
      return;
    }
  }

  /** Makes the table smaller, a bounded bit at a time: call it after some keys were added. */
  work(): void {
    const keys = workLeast + 4 * this.added;
    this.added = 0;
    if (this.working === null && this.loose > this.looseMax) this.seal();
    if (this.working !== null && !this.working.span.step(keys)) this.working = null;
  }

  /** Begins with the span that has most loose keys. */
  private seal(): void {
    let most = Math.max(1, this.looseMax * sealShare);
    for (const [number, { spans }] of this.generations) {
      for (const span of spans) {
        const count = span?.loose.count ?? 0;
        if (span === undefined || count < most) continue;
        most = count;
        this.working = { span, generation: number };
      }
    }
    if (this.working === null) return;
    this.loose -= this.working.span.loose.count;
    this.working.span.seal();
  }
}
