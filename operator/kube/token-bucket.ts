import { setTimeout as sleep } from "node:timers/promises";

/** Lets through `ratePerSecond` on average and `burst` at once; the rest wait their turn. */
export class TokenBucket {
  private readonly ratePerSecond: number;
  private readonly burst: number;
  private tokens: number;
  private filledMs = performance.now();

  constructor(ratePerSecond: number, burst: number) {
    this.ratePerSecond = ratePerSecond;
    this.burst = burst;
    this.tokens = burst;
  }

  /** Takes a token now, on credit if need be; returns how long to wait for it, in milliseconds. */
  reserve(): number {
    const nowMs = performance.now();
    const filled = ((nowMs - this.filledMs) / 1000) * this.ratePerSecond;
    this.tokens = Math.min(this.burst, this.tokens + filled) - 1;
    this.filledMs = nowMs;
    return this.tokens >= 0 ? 0 : (-this.tokens / this.ratePerSecond) * 1000;
  }

  /** Waits for a token. */
  async take(): Promise<void> {
    const waitMs = this.reserve();
    if (waitMs > 0) await sleep(waitMs);
  }
}
