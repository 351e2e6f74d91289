import type { Checksum } from "#replica/base/brands.ts";
import type { Prepare, PrepareHeader } from "#replica/wire/prepare.ts";
import { Violation } from "./subject.ts";

/**
 * Checker 1: one global chain. Each new commit is the next op and names its parent, views do not
 * go back, and whatever any replica executes is what the chain has there.
 */
export class History {
  /** Checksum of each op. */
  readonly chain: Checksum[];
  private view = 0;

  constructor(root: PrepareHeader) {
    this.chain = [root.checksum];
  }

  /** Highest op that any replica executed. */
  get head(): number {
    return this.chain.length - 1;
  }

  /** A replica executed a prepare. True when it is new to the history. */
  executed(replica: number, prepare: Prepare): boolean {
    const { header } = prepare;
    const known = this.chain[header.op];
    if (known === header.checksum) return false;
    if (known !== undefined) {
      throw new Violation(`1 history: replica ${replica} executed another op ${header.op}`);
    }
    if (header.op !== this.head + 1) throw new Violation(`1 history: hole before ${header.op}`);
    if (header.parent !== this.chain[this.head]) throw new Violation("1 history: parent");
    if (header.view < this.view) throw new Violation("1 history: views went back");
    this.view = header.view;
    this.chain.push(header.checksum);
    return true;
  }
}
