import { seqFrom } from "#replica/base/brands.ts";
import { hexFrom } from "#replica/base/bytes.ts";
import { decodeEntries, type Entry } from "#replica/wire/entry.ts";
import type { ReadRange, RoomAnswer } from "#replica/wire/client-message.ts";
import type { ReferenceEntry } from "../reference.ts";
import { Violation } from "./subject.ts";

const readMax = 200;

/**
 * Checker 14: the log as clients see it (Jepsen's list for Redpanda). Every entry read or pushed is
 * the committed one of its seq (inconsistent offset, aborted read), ranges have no holes (poll
 * skip), one connection's pushes and heads go forward (non-monotonic poll), and what was acked is
 * there at the end (lost write). Duplicates are checker 3's.
 */
export class ClientLog {
  private readonly room: (name: string) => readonly ReferenceEntry[] | undefined;
  /** Per connection and room: last seq that came. */
  private readonly pushed = new Map<string, number>();
  private readonly heads = new Map<string, number>();
  private readonly acked = new Map<string, Map<number, string>>();
  /** Entries that clients saw. */
  seen = 0;

  /** `room`: committed entries as the model has them. */
  constructor(room: (name: string) => readonly ReferenceEntry[] | undefined) {
    this.room = room;
  }

  /** The answer to a read. */
  read(
    at: { readonly connection: number; readonly room: string; readonly range: ReadRange },
    answer: RoomAnswer,
    list: Uint8Array,
  ): void {
    const committed = this.room(at.room);
    if (answer.code === "no_room") return;
    if (answer.code !== "ok") return;
    const length = committed?.length ?? -1;
    if (answer.head > length) this.fail(at.room, `aborted read: head ${answer.head} of ${length}`);
    const key = `${at.connection} ${at.room}`;
    if (answer.head < (this.heads.get(key) ?? 0)) this.fail(at.room, "non-monotonic head");
    this.heads.set(key, answer.head);
    const entries = this.decoded(at.room, list);
    if (at.range.kind !== "after") return;
    const first = at.range.seq + 1;
    const wanted = Math.max(0, Math.min(at.range.limit, answer.head - at.range.seq));
    if (wanted > 0 && entries.length === 0) this.fail(at.room, "poll skip: nothing");
    if (entries.length > 0 && entries[0]?.seq !== first) this.fail(at.room, "poll skip: first");
  }

  /** A watch was answered: pushes go on from here. */
  watched(connection: number, room: string, head: number): void {
    this.pushed.set(`${connection} ${room}`, head);
  }

  /** Entries were pushed to a watcher. */
  pushedTo(connection: number, room: string, list: Uint8Array): void {
    const key = `${connection} ${room}`;
    const entries = this.decoded(room, list);
    const last = this.pushed.get(key);
    const first = entries[0]?.seq;
    if (first === undefined) this.fail(room, "an empty push");
    // What comes before the watch's own answer may overlap with it.
    if (last !== undefined && first > last + 1) this.fail(room, `push skips from ${last}`);
    this.pushed.set(key, Math.max(last ?? 0, entries.at(-1)?.seq ?? 0));
  }

  /** A post was acked as an entry. */
  posted(room: string, seq: number, body: string): void {
    const known = this.acked.get(room) ?? new Map<number, string>();
    const before = known.get(seq);
    if (before !== undefined && before !== body) this.fail(room, `seq ${seq} acked twice`);
    known.set(seq, body);
    this.acked.set(room, known);
  }

  /** At the end: all that was acked is in the history. */
  end(): void {
    for (const [room, posts] of this.acked) {
      const committed = this.room(room) ?? [];
      for (const [seq, body] of posts) {
        if (committed[seqFrom(seq) - 1]?.body !== body) this.fail(room, `lost write: seq ${seq}`);
      }
    }
  }

  private decoded(room: string, list: Uint8Array): readonly Entry[] {
    const entries = decodeEntries(list, readMax);
    if (entries === null) this.fail(room, "entries that cannot be read");
    const committed = this.room(room) ?? [];
    let before: number | null = null;
    for (const entry of entries) {
      const { seq, sender, body, timeUs, parent } = entry;
      const model = committed[seq - 1];
      if (model === undefined) this.fail(room, `aborted read: seq ${seq}`);
      const same = model.sender === sender && model.timeUs === timeUs && model.parent === parent;
      if (!same || model.body !== hexFrom(body)) this.fail(room, `two values at seq ${seq}`);
      if (before !== null && seq !== before + 1) this.fail(room, `poll skip after ${before}`);
      before = seq;
      this.seen += 1;
    }
    return entries;
  }

  private fail(room: string, what: string): never {
    throw new Violation(`14 client log: room ${room}: ${what}`);
  }
}
