import { assert } from "#replica/base/assert.ts";
import { mutated } from "#replica/base/mutation.ts";

declare const MUTATIONS: boolean | undefined;

/** Nonces of one data key at most; far beyond what a ring wrap uses. */
const countersMax = 2 ** 48;

/**
 * Nonces of one data key: 1, 2, 3 ... in memory only, so that no restart, retry or rollback of the
 * volume ever uses one again; a restart takes another key.
 */
export class NonceCounter {
  private last = 0;

  /** The next nonce; asserts that there is one. */
  next(): number {
    const again = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("reuse_nonce");
    if (again && this.last % 64 === 63) return this.last;
    this.last += 1;
    assert(this.last < countersMax, "CRY-04: nonces of one key at most");
    return this.last;
  }
}
