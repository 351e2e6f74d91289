import { assert } from "#replica/base/assert.ts";
import { redactedMembers } from "./entry-json.ts";
import type { EntryMark } from "./entry-mark.ts";

/** Entries that a room keeps at hand, at most. */
export const recentEntriesMax = 256;
/** Characters of them, at most. */
export const recentCharsMax = 256 * 1024;

/**
 * The newest entries of a room as JSON members, without a hole, bounded. They spare the shard most
 * reads: resuming clients after a drop, and the splice between history and live events.
 */
export class RecentEntries {
  private texts: string[] = [];
  /** Marks of those that are not plain messages, by seq. */
  private readonly marks = new Map<number, EntryMark>();
  private firstSeq = 1;
  private chars = 0;

  /** Seq of the oldest entry at hand; last + 1 when there is none. */
  get first(): number {
    return this.firstSeq;
  }

  /** Seq of the newest entry at hand. */
  get last(): number {
    return this.firstSeq + this.texts.length - 1;
  }

  /** Forgets all; the next entry is `seq`. */
  reset(seq: number): void {
    this.texts = [];
    this.marks.clear();
    this.firstSeq = seq;
    this.chars = 0;
  }

  /** Appends the next entry. */
  append(seq: number, members: string, mark: EntryMark | null = null): void {
    assert(seq === this.last + 1, "EDF-01: recent entries have no hole");
    if (mark !== null) this.marks.set(seq, mark);
    if (mark?.type === "redact") this.redact(mark.parent);
    this.texts.push(members);
    this.chars += members.length;
    if (this.texts.length < 2 * recentEntriesMax && this.chars <= 2 * recentCharsMax) return;
    let drop = Math.max(0, this.texts.length - recentEntriesMax);
    let dropped = 0;
    for (let i = 0; i < drop; i += 1) dropped += this.texts[i]?.length ?? 0;
    while (this.chars - dropped > recentCharsMax && drop < this.texts.length) {
      dropped += this.texts[drop]?.length ?? 0;
      drop += 1;
    }
    this.texts = this.texts.slice(drop);
    this.firstSeq += drop;
    this.chars -= dropped;
    for (const marked of this.marks.keys()) if (marked < this.firstSeq) this.marks.delete(marked);
  }

  /** Mark of an entry at hand. */
  mark(seq: number): EntryMark | null {
    return this.marks.get(seq) ?? null;
  }

  /** True when every entry from `seq` on is for everybody. */
  plainFrom(seq: number): boolean {
    for (const [marked, { only }] of this.marks) if (marked >= seq && only !== null) return false;
    return true;
  }

  /** A message's text is gone, and with it those of its edits; an edit alone goes alone. */
  private redact(target: number): void {
    this.empty(target);
    for (const [seq, { type, parent }] of this.marks) {
      if (type === "edit" && parent === target) this.empty(seq);
    }
  }

  private empty(seq: number): void {
    const text = this.texts[seq - this.firstSeq];
    if (text === undefined) return;
    const redacted = redactedMembers(text);
    this.texts[seq - this.firstSeq] = redacted;
    this.chars += redacted.length - text.length;
  }

  /** Members of an entry at hand. */
  at(seq: number): string {
    const members = this.texts[seq - this.firstSeq];
    assert(members !== undefined, "EDF-02: only entries at hand are asked for");
    return members;
  }
}
