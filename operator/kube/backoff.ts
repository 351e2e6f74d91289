/** Waits of 0.8 to 30 s that grow at random (decorrelated jitter), so that none march in step. */
export class Backoff {
  private static readonly minMs = 800;
  private static readonly maxMs = 30_000;
  private lastMs = Backoff.minMs;
  private readonly random: () => number;

  /** `random`: uniform in [0, 1). */
  constructor(random: () => number = Math.random) {
    this.random = random;
  }

  /** How long to wait before the next try, in milliseconds; never less than the server asks. */
  next(retryAfterMs = 0): number {
    const span = Math.max(0, 3 * this.lastMs - Backoff.minMs);
    this.lastMs = Math.min(Backoff.maxMs, Backoff.minMs + this.random() * span);
    return Math.max(this.lastMs, retryAfterMs);
  }

  /** Forgets the failures; called after a success. */
  reset(): void {
    this.lastMs = Backoff.minMs;
  }
}
