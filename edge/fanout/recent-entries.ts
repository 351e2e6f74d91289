import { assert } from "#replica/base/assert.ts";

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
    this.firstSeq = seq;
    this.chars = 0;
  }

  /** Appends the next entry. */
  append(seq: number, members: string): void {
    assert(seq === this.last + 1, "EDF-01: recent entries have no hole");
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
  }

  /** Members of an entry at hand. */
  at(seq: number): string {
    const members = this.texts[seq - this.firstSeq];
    assert(members !== undefined, "EDF-02: only entries at hand are asked for");
    return members;
  }
}
