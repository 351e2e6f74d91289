import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { SimDisk } from "./disk.ts";
import { Violation } from "./history.ts";

/**
 * Checkers 5, 6 and 8 for one replica, across its restarts: views and log views of what it sends
 * never go back; one vote a view; no ack after a vote of a higher view; every ack is on its disk;
 * what it acked it never denies, unless a newer log replaced it.
 */
export class Promises {
  private readonly replica: number;
  private view = 0;
  private logView = 0;
  private voteView = -1;
  private voteContent = "";
  /** View → highest op acked in it. */
  readonly ackedIn = new Map<number, number>();
  /** op → checksum of what was acked and not replaced since. */
  private readonly acked = new Map<number, string>();

  constructor(replica: number) {
    this.replica = replica;
  }

  /** A process started: it must remember its promises. */
  restarted(view: number, logView: number): void {
    if (view < this.view) this.fail(`5 promises: view ${view} after ${this.view}`);
    if (logView < this.logView) this.fail(`5 promises: log_view ${logView} after ${this.logView}`);
  }

  /** The log of a newer view replaced what stood at these ops. */
  replaced(op: number, checksum: string): void {
    if (this.acked.get(op) !== checksum) this.acked.delete(op);
  }

  /** A newer log ends before these ops. */
  truncated(head: number): void {
    for (const op of this.acked.keys()) if (op > head) this.acked.delete(op);
  }

  /** A message leaves this replica. */
  sent(message: PeerMessage, disk: SimDisk, committed: number): void {
    if (message.kind === "ping" || message.kind === "pong" || message.kind === "get_view") return;
    if (message.kind === "prepare") return;
    if (message.view < this.view) this.fail(`5 promises: sent in view ${message.view}`);
    this.view = message.view;
    if (message.kind === "do_view_change") this.voted(message);
    if (message.kind === "prepare_ok") this.ackSent(message, disk, committed);
    if (message.kind === "start_view") this.logView = Math.max(this.logView, message.view);
  }

  private voted(message: Extract<PeerMessage, { kind: "do_view_change" }>): void {
    const named = message.headers.map((header) => header?.checksum.slice(0, 16) ?? "-");
    const content = `${message.logView} ${message.op} ${named.join(" ")}`;
    if (message.view === this.voteView && content !== this.voteContent) {
      this.fail(`5 promises: two votes in view ${message.view}`);
    }
    if (message.logView < this.logView) this.fail("5 promises: a vote with an older log_view");
    this.logView = message.logView;
    this.voteView = message.view;
    this.voteContent = content;
    for (const [op, checksum] of this.acked) {
      const index = message.op - op;
      if (index < 0) this.fail(`8 nack: op ${op} was acked, the vote ends at ${message.op}`);
      if (message.nack[index] !== true) continue;
      const header = message.headers[index];
      if (header === null || header?.checksum === checksum) this.fail(`8 nack of acked op ${op}`);
    }
  }

  private ackSent(
    message: Extract<PeerMessage, { kind: "prepare_ok" }>,
    disk: SimDisk,
    committed: number,
  ): void {
    if (message.view < this.voteView) this.fail("5 promises: an ack after a vote");
    this.logView = Math.max(this.logView, message.view);
    const ackedOp = this.ackedIn.get(message.view) ?? -1;
    this.ackedIn.set(message.view, Math.max(ackedOp, message.op));
    let checksum: string = message.checksum;
    for (let op: number = message.op; op > committed; op -= 1) {
      const { prepare } = disk.slot(op);
      if (prepare === null || !disk.holds(op, checksum as typeof message.checksum)) {
        this.fail(`6 durability: ack of ${message.op}, but ${op} is not on disk`);
      }
      this.acked.set(op, checksum);
      checksum = prepare.header.parent;
    }
    if (this.acked.size > 64) {
      for (const op of this.acked.keys()) if (op <= committed) this.acked.delete(op);
    }
  }

  private fail(what: string): never {
    throw new Violation(`${what} (replica ${this.replica})`);
  }
}
