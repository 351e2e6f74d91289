import { pipelineMax } from "#replica/base/limits.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { type Subject, Violation } from "./subject.ts";

/**
 * Checker 7: what is executed lies on two disks, or under a checkpoint there; and a primary calls
 * an op committed only after another replica acked it in this very view. What a volume says that is
 * replaced counts no more from its REPLACE on: up to the last no-op both peers have every op.
 */
export class CommitCopies {
  /** Per view and replica, the highest op acked. */
  private readonly acked = new Map<number, [number, number, number]>();
  /** Up to where each primary's commit was known when it began to lead. */
  private readonly ledFrom = [0, 0, 0];

  /** The last REPLACE: whose place, and up to which op only both peers together commit. */
  private replaced = { index: -1, last: -1 };

  /** An op is executed for the first time. */
  executed(prepare: Prepare, subjects: readonly Subject[]): void {
    const { op, checksum, kind, requestsCount } = prepare.header;
    if (kind === "replace") this.replaced = { index: requestsCount, last: op + pipelineMax };
    const { index, last } = this.replaced;
    let copies = 0;
    for (const subject of subjects) {
      if (op <= last && subject.index === index) continue;
      const known = subject.truthHeader(op) ?? subject.lostHeader(op);
      const held = known?.checksum === checksum;
      if (held || subject.truthCheckpoint() >= op) copies += 1;
      if (copies >= 2) return;
    }
    throw new Violation(`7 commit: op ${op} has ${copies} durable copies`);
  }

  /** A replica acks up to an op in a view. */
  ack(from: number, view: number, op: number): void {
    const known = this.acked.get(view) ?? [-1, -1, -1];
    known[from] = Math.max(known[from] ?? -1, op);
    this.acked.set(view, known);
  }

  /** After any step of a replica. */
  stepped(subject: Subject): void {
    const replica = subject.host?.replica;
    if (replica === undefined) return;
    const { index } = subject;
    const from = this.ledFrom[index] ?? 0;
    const leads = replica.status === "normal" && replica.primary === index;
    if (!leads) {
      this.ledFrom[index] = replica.commitMax;
      return;
    }
    if (replica.commitMax <= from) return;
    const acked = this.acked.get(replica.view) ?? [];
    const others = acked.filter((op, i) => i !== index && op >= replica.commitMax);
    if (others.length > 0) return;
    const what = `op ${replica.commitMax} without an ack of view ${replica.view}`;
    throw new Violation(`7 commit: ${what} (replica ${index})`);
  }
}
