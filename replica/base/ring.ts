import { assert } from "./assert.ts";

/** First-in-first-out queue with a fixed maximum; a full queue is an answer, never a wait. */
export class Ring<T> {
  readonly countMax: number;
  private readonly items: (T | undefined)[];
  private first = 0;
  private used = 0;

  /** `countMax`: items held at most, from 1. */
  constructor(countMax: number) {
    assert(Number.isSafeInteger(countMax) && countMax >= 1, "BAS-03: ring size");
    this.countMax = countMax;
    this.items = new Array<T | undefined>(countMax).fill(undefined);
  }

  /** Items held now. */
  get count(): number {
    return this.used;
  }

  /** True when the next {@link tryPush} would be refused. */
  get full(): boolean {
    return this.used === this.countMax;
  }

  /** Appends, or returns false when full. */
  tryPush(item: T): boolean {
    if (this.full) return false;
    this.items[(this.first + this.used) % this.countMax] = item;
    this.used += 1;
    return true;
  }

  /** Appends; the caller has made sure that there is room. */
  push(item: T): void {
    assert(this.tryPush(item), "BAS-03: ring is full");
  }

  /** Removes and returns the oldest item, or undefined when empty. */
  shift(): T | undefined {
    if (this.used === 0) return undefined;
    const item = this.items[this.first];
    this.items[this.first] = undefined;
    this.first = (this.first + 1) % this.countMax;
    this.used -= 1;
    return item;
  }

  /** The item `offset` places behind the oldest, or undefined. */
  at(offset: number): T | undefined {
    if (offset < 0 || offset >= this.used) return undefined;
    return this.items[(this.first + offset) % this.countMax];
  }

  /** Drops everything. */
  clear(): void {
    this.items.fill(undefined);
    this.first = 0;
    this.used = 0;
  }
}
