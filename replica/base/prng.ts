import { assert } from "./assert.ts";

/**
 * Seeded pseudo-random numbers (sfc32): the only chance a pure room may use.
 * The same seed gives the same sequence on every Node version. Not for secrets.
 */
export class Prng {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  /** `seed`: a safe integer from 0; both 32-bit halves count. */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed) && seed >= 0, "BAS-02: seed");
    this.a = seed | 0;
    this.b = Math.floor(seed / 2 ** 32) | 0;
    this.c = 0x9e3779b9 | 0;
    for (let round = 0; round < 15; round += 1) this.uint32();
  }

  /** A uniform integer in [0, 2^32). */
  uint32(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (this.c << 21) | (this.c >>> 11);
    this.c = (this.c + sum) | 0;
    return sum >>> 0;
  }

  /** A uniform integer in [0, limit); limit 1 to 2^32. */
  below(limit: number): number {
    assert(Number.isSafeInteger(limit) && limit >= 1 && limit <= 2 ** 32, "BAS-02: limit");
    return Math.floor((this.uint32() / 2 ** 32) * limit);
  }

  /** A uniform integer in [first, last], both included. */
  between(first: number, last: number): number {
    assert(first <= last, "BAS-02: range");
    return first + this.below(last - first + 1);
  }

  /** A uniform number in [0, 1). */
  fraction(): number {
    return this.uint32() / 2 ** 32;
  }

  /** True with the given probability, 0 to 1. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One item of a non-empty list. */
  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    assert(item !== undefined, "BAS-02: pick");
    return item;
  }

  /** A generator whose sequence is independent of what this one gives later. */
  fork(): Prng {
    return new Prng(this.uint32() + this.below(2 ** 20) * 2 ** 32);
  }
}
