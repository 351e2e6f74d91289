import { Prng } from "#replica/base/prng.ts";
import { dataViewOf } from "#replica/wire/frame.ts";
import { random } from "#replica/crypto/hash.ts";

/** Milliseconds before the first repeated dial. */
export const backoffFirstMs = 10;
/** Milliseconds between dials at most: a replica that comes back is found within this time. */
export const backoffMaxMs = 500;

/** Growing, jittered delays, so that three replicas that lost each other do not dial in step. */
export class Backoff {
  private readonly prng = new Prng(dataViewOf(random(4)).getUint32(0, true));
  private delayMs = backoffFirstMs;

  /** The next delay in milliseconds: between half of and the whole of 10, 20, 40 … 500. */
  next(): number {
    const delayMs = this.delayMs;
    this.delayMs = Math.min(backoffMaxMs, delayMs * 2);
    return delayMs / 2 + this.prng.fraction() * (delayMs / 2);
  }

  /** After a success: begin again at the shortest delay. */
  reset(): void {
    this.delayMs = backoffFirstMs;
  }
}
