import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Acked } from "./06-durable-acks.ts";
import { type Subject, Violation } from "./subject.ts";

type Vote = Extract<PeerMessage, { kind: "do_view_change" }>;

/** Acked ops remembered at most; those known to be committed go first. */
const ackedMax = 64;

/**
 * Checker 8, for one replica: what it acked it never denies in a vote, neither by a nack nor by a
 * shorter log, unless the log of a newer view replaced it; and nothing is dropped before that.
 */
export class Nacks {
  private readonly replica: number;
  private readonly acked = new Map<number, string>();
  private head = 0;
  private view = 0;
  private normal = false;

  constructor(replica: number) {
    this.replica = replica;
  }

  /** A process started. */
  started(subject: Subject): void {
    const { host } = subject;
    if (host === null) return;
    this.head = host.replica.head;
    this.normal = false;
  }

  /** After any step: a newer log that ends lower, or is installed, ends promises above it. */
  stepped(subject: Subject): void {
    const replica = subject.host?.replica;
    if (replica === undefined) return;
    const installed = replica.status === "normal" && replica.view > this.view;
    const stays = this.normal && replica.status === "normal" && !installed;
    this.normal = replica.status === "normal";
    if (replica.head < this.head && stays) {
      this.fail(`ops above ${replica.head} were dropped before another log was there`);
    }
    if (replica.head < this.head || installed) {
      for (const op of this.acked.keys()) if (op > replica.head) this.acked.delete(op);
    }
    if (installed) this.view = replica.view;
    this.head = replica.head;
  }

  /** An ack leaves, covering these ops. */
  acks(covered: readonly Acked[], committed: number): void {
    for (const { op, checksum } of covered) this.acked.set(op, checksum);
    if (this.acked.size <= ackedMax) return;
    for (const op of this.acked.keys()) if (op <= committed) this.acked.delete(op);
  }

  /** A vote leaves. */
  votes(message: Vote): void {
    for (const [op, checksum] of this.acked) {
      const index = message.op - op;
      if (index < 0) this.fail(`op ${op} was acked, the vote ends at ${message.op}`);
      if (message.nack[index] !== true) continue;
      const header = message.headers[index];
      if (header === null || header?.checksum === checksum) this.fail(`of acked op ${op}`);
    }
  }

  /** The volume became an older one. */
  forget(): void {
    this.acked.clear();
  }

  private fail(what: string): never {
    throw new Violation(`8 nack: ${what} (replica ${this.replica})`);
  }
}
