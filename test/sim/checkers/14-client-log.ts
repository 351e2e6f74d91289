import { seqFrom } from "#replica/base/brands.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import { decodeEntries, type Entry } from "#replica/wire/entry.ts";
import type { ReadRange, RoomAnswer } from "#replica/wire/client-message.ts";
import type { ModelEntry, ModelLog } from "#test/model/machine-model.ts";
import { Violation } from "./subject.ts";

const readMax = 200;

/**
 * Checker 14: the log as clients see it (Jepsen's list for Redpanda). Every entry read or pushed is
 * the committed one of its seq (inconsistent offset, aborted read), ranges have no holes (poll
 * skip), one connection's pushes and heads go forward (non-monotonic poll), what was redacted
 * before the head that an answer names is not shown (resurrection), and what was acked is there at
 * the end (lost write). Duplicates are checker 3's. Rooms go by tenant, a space, and name.
 */
export class ClientLog {
  private readonly room: (name: string) => ModelLog | undefined;
  /** Per connection and room: last seq that came. */
  private readonly pushed = new Map<string, number>();
  private readonly heads = new Map<string, number>();
  private readonly acked = new Map<string, Map<number, string>>();
  /** Entries that clients saw, and how many of them were redacted. */
  seen = 0;
  redactedSeen = 0;

  /** `room`: a committed log as the model has it. */
  constructor(room: (name: string) => ModelLog | undefined) {
    this.room = room;
  }

  /** The answer to a read. */
  read(
    at: { readonly connection: number; readonly room: string; readonly range: ReadRange },
    answer: RoomAnswer,
    list: Uint8Array,
  ): void {
    if (answer.code !== "ok") return;
    const length = this.room(at.room)?.entries.length ?? -1;
    if (answer.head > length) this.fail(at.room, `aborted read: head ${answer.head} of ${length}`);
    const key = `${at.connection} ${at.room}`;
    if (answer.head < (this.heads.get(key) ?? 0)) this.fail(at.room, "non-monotonic head");
    this.heads.set(key, answer.head);
    const entries = this.decoded(at.room, list, answer.head);
    if ((entries[0]?.seq ?? answer.floor) < answer.floor) this.fail(at.room, "below the floor");
    if (at.range.kind !== "after") return;
    const first = Math.max(at.range.seq + 1, answer.floor);
    const wanted = Math.max(0, Math.min(at.range.limit, answer.head - first + 1));
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
    const entries = this.decoded(room, list, 0);
    const last = this.pushed.get(key);
    const first = entries[0]?.seq;
    if (first === undefined) this.fail(room, "an empty push");
    // What comes before the watch's own answer may overlap with it.
    if (last !== undefined && first > last + 1) this.fail(room, `push skips from ${last}`);
    this.pushed.set(key, Math.max(last ?? 0, entries.at(-1)?.seq ?? 0));
  }

  /** A post was acked as an entry, or as the one that its key has made before. */
  posted(room: string, result: { seq: number; dup: boolean }, body: string): void {
    const { seq, dup } = result;
    // Of a redacted entry nobody can say any more what its key was used for.
    if (dup && this.room(room)?.entries[seq - 1]?.redacted === true) return;
    const known = this.acked.get(room) ?? new Map<number, string>();
    const before = known.get(seq);
    if (before !== undefined && before !== body) this.fail(room, `seq ${seq} acked twice`);
    known.set(seq, body);
    this.acked.set(room, known);
  }

  /** At the end: all that was acked is in the history. */
  end(): void {
    for (const [room, posts] of this.acked) {
      const committed = this.room(room)?.entries ?? [];
      for (const [seq, body] of posts) {
        if (committed[seqFrom(seq) - 1]?.body !== body) this.fail(room, `lost write: seq ${seq}`);
      }
    }
  }

  /** `head`: of the room, where the answer names one; 0 = it does not. */
  private decoded(room: string, list: Uint8Array, head: number): readonly Entry[] {
    const entries = decodeEntries(list, readMax);
    if (entries === null) this.fail(room, "entries that cannot be read");
    const log = this.room(room);
    let before: number | null = null;
    for (const entry of entries) {
      const model = log?.entries[entry.seq - 1];
      if (log === undefined || model === undefined) {
        this.fail(room, `aborted read: seq ${entry.seq}`);
      }
      if (!sameEntry(entry, model)) this.fail(room, `two values at seq ${entry.seq}`);
      if (!entry.redacted && isRedactedAt(log, model, head)) {
        this.fail(room, `resurrection: seq ${entry.seq} was redacted at head ${head}`);
      }
      if (before !== null && entry.seq !== before + 1) this.fail(room, `poll skip after ${before}`);
      before = entry.seq;
      this.seen += 1;
      if (entry.redacted) this.redactedSeen += 1;
    }
    return entries;
  }

  private fail(room: string, what: string): never {
    throw new Violation(`14 client log: room ${room}: ${what}`);
  }
}

function sameEntry(entry: Entry, model: ModelEntry): boolean {
  const { sender, timeUs, parent, type, body } = entry;
  const head = model.sender === sender && model.timeUs === timeUs && model.parent === parent;
  const shown = (entry.visibility ?? "all") === model.shown;
  const rest = model.type === type && model.authority === (entry.authority === true) && shown;
  // The model knows the newest state: what it does not have as redacted nobody has.
  const said = entry.redacted ? model.redacted : textFromUtf8(body) === model.body;
  return head && rest && said;
}

/** A redaction up to that head hides the entry: its own, or that of the message it edits. */
function isRedactedAt(log: ModelLog, entry: ModelEntry, head: number): boolean {
  if (!entry.redacted) return false;
  for (const { seq, type, parent } of log.entries) {
    if (seq > head) return false;
    if (type !== "redact") continue;
    if (parent === entry.seq) return true;
    if (entry.type === "edit" && parent === entry.parent) return true;
  }
  return false;
}
