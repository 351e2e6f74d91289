import { assert } from "#replica/base/assert.ts";

/** How fast something may go on: `perS` a second for ever, `burst` at once. */
export interface Rate {
  readonly perS: number;
  readonly burst: number;
}

/** A token bucket over supplied time. Holds at most `burst` tokens and starts full. */
export class TokenBucket {
  private readonly rate: Rate;
  private tokens: number;
  private filledMs: number;

  /** `nowMs`: monotonic. */
  constructor(rate: Rate, nowMs: number) {
    assert(rate.perS > 0 && rate.burst >= 1, "EDL-01: a rate lets something through");
    this.rate = rate;
    this.tokens = rate.burst;
    this.filledMs = nowMs;
  }

  /** Takes `count` tokens and returns 0, or takes none and returns milliseconds until they fit. */
  take(count: number, nowMs: number): number {
    assert(count <= this.rate.burst, "EDL-02: a take fits the bucket");
    this.fill(nowMs);
    // Fractions of a token add up inexactly: a billionth is forgiven, so that a wait as told fits.
    if (this.tokens >= count - 1e-9) {
      this.tokens = Math.max(0, this.tokens - count);
      return 0;
    }
    return Math.max(1, Math.ceil(((count - this.tokens) / this.rate.perS) * 1000 - 1e-6));
  }

  /** True when nothing has been taken lately: forgetting this bucket changes nothing. */
  full(nowMs: number): boolean {
    this.fill(nowMs);
    return this.tokens >= this.rate.burst;
  }

  private fill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.filledMs);
    this.filledMs = Math.max(this.filledMs, nowMs);
    this.tokens = Math.min(this.rate.burst, this.tokens + (elapsedMs * this.rate.perS) / 1000);
  }
}
