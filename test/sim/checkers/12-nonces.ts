import { crc32 } from "#replica/crypto/hash.ts";
import { Violation } from "./subject.ts";

/** Checker 12: no (data key, nonce) pair ever seals two plaintexts. */
export class Nonces {
  private readonly used = new Map<number, Map<number, number>>();

  /** `secret` stands for the key's bytes, which are random and never the same. */
  sealed(secret: number, counter: number, aad: Uint8Array, plain: Uint8Array): void {
    let counters = this.used.get(secret);
    if (counters === undefined) {
      counters = new Map();
      this.used.set(secret, counters);
    }
    const content = (crc32(aad) ^ crc32(plain)) >>> 0;
    const before = counters.get(counter);
    if (before === undefined) counters.set(counter, content);
    else throw new Violation(`12 nonces: key ${secret}, nonce ${counter} used twice`);
  }
}
