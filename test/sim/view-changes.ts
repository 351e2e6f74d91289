import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Coverage } from "./coverage.ts";

type Vote = Extract<PeerMessage, { kind: "do_view_change" }>;
type StartView = Extract<PeerMessage, { kind: "start_view" }>;

/** Counts how view changes end, from the votes that reached each new primary and what it made. */
export class ViewChanges {
  private readonly coverage: Coverage;
  /** View → votes by sender: the new primary's own and those that arrived there. */
  private readonly votes = new Map<number, Map<number, Vote>>();
  private readonly started = new Set<number>();
  /** Highest view that each replica voted in. */
  private readonly votedIn = [-1, -1, -1];

  constructor(coverage: Coverage) {
    this.coverage = coverage;
  }

  /** A message leaves. */
  sent(message: PeerMessage): void {
    if (message.kind === "do_view_change") this.voteSent(message);
    if (message.kind === "start_view") this.viewStarts(message);
  }

  /** A message arrives. */
  arrived(to: number, message: PeerMessage): void {
    if (message.kind !== "do_view_change" || message.view % 3 !== to) return;
    this.keep(message);
  }

  private voteSent(message: Vote): void {
    const { view, from } = message;
    if (view % 3 === from) this.keep(message);
    const before = this.votedIn[from] ?? -1;
    if (view > before + 1 && before >= 0 && !this.started.has(before) && before % 3 === from) {
      this.count("forfeited");
    }
    if (view > before && before >= 0 && !this.started.has(before)) this.count("timed_out");
    this.votedIn[from] = Math.max(before, view);
  }

  private keep(message: Vote): void {
    const known = this.votes.get(message.view) ?? new Map<number, Vote>();
    known.set(message.from, message);
    this.votes.set(message.view, known);
  }

  private viewStarts(message: StartView): void {
    if (message.nonce !== 0) this.count("start_view_for_uncertain_head");
    if (this.started.has(message.view)) return;
    this.started.add(message.view);
    const votes = [...(this.votes.get(message.view)?.values() ?? [])];
    if (votes.length < 2) return;
    this.count(votes.length === 2 ? "selected_by_two" : "selected_by_three");
    const logView = Math.max(...votes.map((vote) => vote.logView));
    const canonical = votes.filter((vote) => vote.logView === logView);
    const highest = Math.max(...canonical.map((vote) => vote.op));
    if (canonical.length < votes.length) this.count("older_log_view_outvoted");
    if (message.op < highest) this.count("tail_dropped");
    const known = Math.max(...votes.map((vote) => vote.commitMax));
    if (message.op > known) this.count("suffix_kept");
  }

  private count(outcome: string): void {
    this.coverage.add(`view change ${outcome}`);
  }
}

/** What an alarm says of a view change's outcome, or null. */
export function alarmOutcome(what: string): string | null {
  if (what.includes("third replica's vote")) return "waited_for_third";
  return what.includes("no intact copy") ? "stuck" : null;
}
