import type { Clock, SocketLike } from "./types.ts";

/** Time and chance of the runtime, browser or Node. */
export const runtimeClock: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  after: (delayMs, call) => {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
  fraction: () => Math.random(),
  random: (count) => crypto.getRandomValues(new Uint8Array(count)),
};

/** The runtime's WebSocket. */
export function runtimeSocket(url: string, protocol: string): SocketLike {
  return new WebSocket(url, protocol) as unknown as SocketLike;
}

const backoffBaseMs = 500;
const backoffCapMs = 30_000;
/** A connection that was up this long counts as good: the next backoff starts small again. */
const stableMs = 10_000;

/** Full jitter: random(0, min(cap, base · 2^n)); n starts again after a stable connection. */
export class Backoff {
  private readonly clock: Clock;
  private attempts = 0;

  /** `clock` gives chance. */
  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Milliseconds to wait now; the next answer will be larger on average. */
  next(): number {
    const ceiling = Math.min(backoffCapMs, backoffBaseMs * 2 ** this.attempts);
    this.attempts = Math.min(this.attempts + 1, 16);
    return this.clock.fraction() * ceiling;
  }

  /** A connection ended that had been up for so long. */
  ended(upMs: number): void {
    if (upMs >= stableMs) this.attempts = 0;
  }
}
