import type { ChatEntry } from "@tigerchat/sdk";
import type { Message, Reaction } from "./message.ts";

/** Messages that the page holds at most; older ones are read again when asked for. */
const messagesMax = 2_000;

interface Edit {
  readonly seq: number;
  readonly body: string;
}

/**
 * Messages of a room as its entries leave them: edited, redacted, reacted to. Pages of the past
 * come after newer entries, so nothing here depends on the order in which entries come.
 */
export class MessageFold {
  private readonly messages = new Map<number, ChatEntry>();
  private readonly edits = new Map<number, Map<number, Edit>>();
  private readonly redacted = new Set<number>();
  /** Message → reaction and user → the last entry about it. */
  private readonly reactions = new Map<
    number,
    Map<string, { seq: number; on: boolean; reaction: string; user: string }>
  >();
  private readonly threads = new Set<number>();

  /** Takes an entry; again is harmless. */
  take(entry: ChatEntry): void {
    const { seq, parent, type } = entry;
    if (type === "msg") this.messages.set(seq, entry);
    if (entry.redacted) this.redacted.add(seq);
    if (parent === null) return;
    if (type === "edit") {
      const edits = this.edits.get(parent) ?? new Map<number, Edit>();
      this.edits.set(parent, edits.set(seq, { seq, body: entry.body ?? "" }));
    } else if (type === "redact") this.redacted.add(parent);
    else if (type === "thread") this.threads.add(parent);
    else if (type === "react" || type === "unreact") this.react(parent, entry);
  }

  /** Forgets all. */
  clear(): void {
    for (const part of [this.messages, this.edits, this.reactions]) part.clear();
    this.redacted.clear();
    this.threads.clear();
  }

  /** The messages, oldest first. */
  list(): readonly Message[] {
    const entries = [...this.messages.values()].sort((a, b) => a.seq - b.seq).slice(-messagesMax);
    return entries.map((entry) => this.shown(entry));
  }

  private react(message: number, entry: ChatEntry): void {
    const { seq, from: user, body, type } = entry;
    const reaction = body ?? "";
    const all = this.reactions.get(message) ?? new Map();
    this.reactions.set(message, all);
    const key = `${reaction} ${user}`;
    if ((all.get(key)?.seq ?? 0) > seq) return;
    all.set(key, { seq, on: type === "react", reaction, user });
  }

  private shown(entry: ChatEntry): Message {
    const { key, seq, from, timeUs } = entry;
    const redacted = this.redacted.has(seq);
    const edit = [...(this.edits.get(seq)?.values() ?? [])]
      .filter((each) => !this.redacted.has(each.seq))
      .reduce<Edit | null>(
        (last, each) => (last === null || each.seq > last.seq ? each : last),
        null,
      );
    const body = redacted ? "" : (edit?.body ?? entry.body ?? "");
    return {
      key,
      seq,
      from,
      timeMs: timeUs / 1000,
      body,
      original: entry.body ?? "",
      state: "sent",
      edited: edit !== null && !redacted,
      redacted,
      reactions: redacted ? [] : this.reactionsOf(seq),
      thread: this.threads.has(seq),
    };
  }

  private reactionsOf(seq: number): readonly Reaction[] {
    const users = new Map<string, string[]>();
    for (const { on, reaction, user } of this.reactions.get(seq)?.values() ?? []) {
      if (on) users.set(reaction, [...(users.get(reaction) ?? []), user]);
    }
    return [...users].map(([reaction, names]) => ({ reaction, users: names }));
  }
}
