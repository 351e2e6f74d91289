import type { PeerMessage } from "#replica/wire/peer-message.ts";
import { Violation } from "./subject.ts";

type Vote = Extract<PeerMessage, { kind: "do_view_change" }>;

/**
 * Checker 5, for one replica across its restarts: views and log views of what it sends never go
 * back; one vote a view; no ack after a vote of a higher view.
 */
export class Promises {
  private readonly replica: number;
  private view = 0;
  private logView = 0;
  private durableLogView = 0;
  private voteView = -1;
  private voteContent = "";

  constructor(replica: number) {
    this.replica = replica;
  }

  /** A process started over its volume: it must remember its promises. */
  started(view: number, logView: number): void {
    if (view < this.view) this.fail(`view ${view} after ${this.view}`);
    if (logView < this.logView) this.fail(`log_view ${logView} after ${this.logView}`);
  }

  /** A superblock is durable. */
  durable(logView: number): void {
    this.durableLogView = logView;
  }

  /** A prepare of a view is to be written: its log must be durably this volume's (rule A2). */
  writes(op: number, view: number): void {
    if (view <= this.durableLogView) return;
    this.fail(`op ${op} of view ${view} overwrites a slot at log_view ${this.durableLogView}`);
  }

  /** A message leaves this replica. */
  sent(message: PeerMessage): void {
    if (message.kind === "ping" || message.kind === "pong" || message.kind === "get_view") return;
    if (message.kind === "prepare") return;
    if (message.view < this.view) this.fail(`sent ${message.kind} in view ${message.view}`);
    this.view = message.view;
    if (message.kind === "do_view_change") this.voted(message);
    if (message.kind === "start_view") this.logView = Math.max(this.logView, message.view);
    if (message.kind !== "prepare_ok") return;
    if (message.view < this.voteView) this.fail("an ack after a vote");
    this.logView = Math.max(this.logView, message.view);
  }

  /** The volume became an older one: what was promised is not on it. */
  forget(): void {
    this.view = 0;
    this.logView = 0;
    this.voteView = -1;
  }

  private voted(message: Vote): void {
    const named = message.headers.map((header) => header?.checksum.slice(0, 16) ?? "-");
    const content = `${message.logView} ${message.op} ${named.join(" ")}`;
    if (message.view === this.voteView && content !== this.voteContent) {
      this.fail(`two votes in view ${message.view}`);
    }
    if (message.logView < this.logView) this.fail("a vote with an older log_view");
    this.logView = message.logView;
    this.voteView = message.view;
    this.voteContent = content;
  }

  private fail(what: string): never {
    throw new Violation(`5 promises: ${what} (replica ${this.replica})`);
  }
}
