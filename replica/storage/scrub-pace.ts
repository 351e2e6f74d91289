import { assert } from "#replica/base/assert.ts";

/**
 * When the next slice of scrubbing may begin, so that it takes a given share of the disk and no
 * more. Time that passed unused is not saved up: there is never a burst. Pure.
 */
export class ScrubPace {
  private readonly bytesPerS: number;
  private dueAtMs: number;

  /** `bytesPerS`: bytes read a second at most, more than zero. The first slice is due at once. */
  constructor(bytesPerS: number, nowMs: number) {
    assert(bytesPerS > 0, "STO-11: a pace moves");
    this.bytesPerS = bytesPerS;
    this.dueAtMs = nowMs;
  }

  /** When the next slice may begin, monotonic ms. */
  get dueMs(): number {
    return this.dueAtMs;
  }

  /** A slice of that size has been read. */
  spent(bytes: number, nowMs: number): void {
    this.dueAtMs = Math.max(this.dueAtMs, nowMs) + (bytes / this.bytesPerS) * 1000;
  }
}
