import { Violation } from "./subject.ts";

/** Checker 12: no (data key, nonce) pair ever seals twice. */
export class Nonces {
  private readonly used = new Map<number, Set<number>>();

  /** `secret` stands for the key's bytes, which are random and never the same. */
  sealed(secret: number, counter: number): void {
    let counters = this.used.get(secret);
    if (counters === undefined) {
      counters = new Set();
      this.used.set(secret, counters);
    }
    const { size } = counters;
    if (counters.add(counter).size > size) return;
    throw new Violation(`12 nonces: key ${secret}, nonce ${counter} used twice`);
  }
}
