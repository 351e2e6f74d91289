import { assert } from "#replica/base/assert.ts";

/** Small slices follow each other at once until they have used up so much time ahead, ms. */
const aheadMs = 50;

/**
 * When the next slice of scrubbing may begin, so that it takes a given share of the disk and no
 * more. Time that passed unused is not saved up; small slices go together, so that a process need
 * not wake for each of them. Pure.
 */
export class ScrubPace {
  private readonly bytesPerS: number;
  private dueAtMs: number;
  /** All that was read is paid for then. */
  private paidAtMs: number;

  /** `bytesPerS`: bytes read a second at most, more than zero. The first slice is due at once. */
  constructor(bytesPerS: number, nowMs: number) {
    assert(bytesPerS > 0, "STO-11: a pace moves");
    this.bytesPerS = bytesPerS;
    this.dueAtMs = nowMs;
    this.paidAtMs = nowMs;
  }

  /** When the next slice may begin, monotonic ms. */
  get dueMs(): number {
    return this.dueAtMs;
  }

  /** A slice of that size has been read. */
  spent(bytes: number, nowMs: number): void {
    this.paidAtMs = Math.max(this.paidAtMs, nowMs) + (bytes / this.bytesPerS) * 1000;
    this.dueAtMs = this.paidAtMs - nowMs < aheadMs ? nowMs : this.paidAtMs;
  }
}
