/**
 * The longest gap between two signs of life of late (rule A4), in two halves of time: what was
 * learned counts for `spanMs` at least and for twice that at most. A longer gap than `gapMaxMs` is
 * an outage, which no patience that is allowed would have bridged: it teaches nothing.
 */
export class GapMemory {
  private readonly spanMs: number;
  private readonly gapMaxMs: number;
  private sinceMs = -Infinity;
  private nowLongestMs = 0;
  private beforeLongestMs = 0;

  constructor(spanMs: number, gapMaxMs: number) {
    this.spanMs = spanMs;
    this.gapMaxMs = gapMaxMs;
  }

  /** Takes a gap that ended at `nowMs`; time does not go back. */
  learn(gapMs: number, nowMs: number): void {
    if (gapMs > this.gapMaxMs) return;
    this.turn(nowMs);
    if (gapMs > this.nowLongestMs) this.nowLongestMs = gapMs;
  }

  /** The longest gap that still counts, ms; 0 = none. */
  longestMs(nowMs: number): number {
    this.turn(nowMs);
    return Math.max(this.nowLongestMs, this.beforeLongestMs);
  }

  private turn(nowMs: number): void {
    const agedMs = nowMs - this.sinceMs;
    if (agedMs < this.spanMs) return;
    const recent = agedMs < 2 * this.spanMs;
    this.beforeLongestMs = recent ? this.nowLongestMs : 0;
    this.nowLongestMs = 0;
    this.sinceMs = recent ? this.sinceMs + this.spanMs : nowMs;
  }
}
