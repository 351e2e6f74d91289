import { Prng } from "#replica/base/prng.ts";
import type { Timing } from "#replica/base/timing.ts";
import { dataViewOf } from "#replica/wire/frame.ts";
import { random } from "#replica/crypto/hash.ts";

/** Pauses between dials unless a configuration says otherwise: first and longest, ms. */
export const backoffDefault = { redialFirstMs: 10, redialMaxMs: 500 } as const;

/** Growing, jittered delays, so that three replicas that lost each other do not dial in step. */
export class Backoff {
  private readonly prng = new Prng(dataViewOf(random(4)).getUint32(0, true));
  private readonly firstMs: number;
  private readonly maxMs: number;
  private delayMs: number;

  /** A replica that comes back is found within `redialMaxMs`. */
  constructor({ redialFirstMs, redialMaxMs }: Pick<Timing, "redialFirstMs" | "redialMaxMs">) {
    this.firstMs = redialFirstMs;
    this.maxMs = redialMaxMs;
    this.delayMs = redialFirstMs;
  }

  /** The next delay in milliseconds: from half to the whole of first, 2 x first … longest. */
  next(): number {
    const delayMs = this.delayMs;
    this.delayMs = Math.min(this.maxMs, delayMs * 2);
    return delayMs / 2 + this.prng.fraction() * (delayMs / 2);
  }

  /** After a success: begin again at the shortest delay. */
  reset(): void {
    this.delayMs = this.firstMs;
  }
}
