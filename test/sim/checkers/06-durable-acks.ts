import type { PeerMessage } from "#replica/wire/peer-message.ts";
import { type Subject, Violation } from "./subject.ts";

/** One op that an ack covers. */
export interface Acked {
  readonly op: number;
  readonly checksum: string;
}

/** Checker 6: every op that an ack covers was synced on its sender's disk before it was sent. */
export class DurableAcks {
  /** Ops that the ack covers above `committed`; fails when one of them is not on the disk. */
  covered(
    message: Extract<PeerMessage, { kind: "prepare_ok" }>,
    from: Subject,
    committed: number,
  ): readonly Acked[] {
    const covered: Acked[] = [];
    let checksum: string = message.checksum;
    for (let op: number = message.op; op > committed; op -= 1) {
      const header = from.truthHeader(op);
      if (header === null || header.checksum !== checksum) {
        const what = `ack of ${message.op}, but ${op} is not on disk`;
        throw new Violation(`6 durability: ${what} (replica ${from.index})`);
      }
      covered.push({ op, checksum });
      checksum = header.parent;
    }
    return covered;
  }
}
