import type { Checksum } from "#replica/base/brands.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { RequestReader } from "#replica/wire/request.ts";
import { toyApply, toyGenesis } from "./toy-machine.ts";

/** A rule of the protocol was broken: the run fails. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** One request as the history has it. */
export interface Committed {
  readonly op: number;
  readonly requestChecksum: Checksum;
  readonly reply: Uint8Array;
}

/**
 * Checkers 1 to 4 and 11: one global chain that every replica's commits match; only requests that
 * a client made; each executed once; replies as the reference model gives them; time goes forward.
 */
export class History {
  readonly chain: Checksum[];
  readonly committed = new Map<string, Committed>();
  private readonly made: ReadonlySet<string>;
  private timestampUs: number;
  private state = toyGenesis;
  private view = 0;

  /** `made`: checksums of all requests that clients made so far; grows with the run. */
  constructor(root: Prepare, made: ReadonlySet<string>) {
    this.chain = [root.header.checksum];
    this.timestampUs = root.header.timestampUs;
    this.made = made;
  }

  /** Highest op that any replica executed. */
  get head(): number {
    return this.chain.length - 1;
  }

  /** A replica executed a prepare. True when it is new to the history. */
  commit(replica: number, prepare: Prepare): boolean {
    const { header } = prepare;
    const known = this.chain[header.op];
    if (known !== undefined) {
      if (known === header.checksum) return false;
      throw new Violation(`1 history: replica ${replica} executed another op ${header.op}`);
    }
    if (header.op !== this.head + 1) throw new Violation(`1 history: hole before ${header.op}`);
    if (header.parent !== this.chain[this.head]) throw new Violation("1 history: parent");
    if (header.timestampUs <= this.timestampUs) throw new Violation("11 time went back");
    if (header.view < this.view) throw new Violation("1 history: views went back");
    this.view = header.view;
    this.timestampUs = header.timestampUs;
    this.chain.push(header.checksum);
    this.run(prepare);
    return true;
  }

  private run(prepare: Prepare): void {
    const reader = new RequestReader(prepare.body);
    while (reader.next()) {
      const { session, requestNumber, requestChecksum, clientId } = reader.header;
      if (!this.made.has(requestChecksum)) throw new Violation("2 invention: unknown request");
      const key = session === 0 ? `register ${clientId}` : `${session} ${requestNumber}`;
      if (this.committed.has(key)) throw new Violation(`3 exactly once: ${key} twice`);
      let reply = new Uint8Array(0);
      if (session !== 0) {
        const result = toyApply(this.state, reader.body);
        this.state = result.next;
        reply = new Uint8Array(result.reply);
      }
      this.committed.set(key, { op: prepare.header.op, requestChecksum, reply });
    }
  }
}
