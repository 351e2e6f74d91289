import { bodyText } from "#edge/fanout/entry-json.ts";
import { markOf, sees } from "#edge/fanout/entry-mark.ts";
import { RoomFold } from "#edge/fanout/room-fold.ts";
import { seqFrom } from "#replica/base/brands.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import type { Entry } from "#replica/wire/entry.ts";
import { decodeEntry } from "#replica/wire/entry.ts";
import type { Viewer } from "#replica/wire/visibility.ts";
import type { ReadPage } from "./hub.ts";

/** Members of one page of a snapshot. */
export const snapshotMembersMax = 500;
/** Entries that one page of a snapshot looks at to find messages, at most. */
const entriesLookedAtMax = 1_000;
const pageEntries = 200;
/** Folds kept for the next page or the next call. */
const foldsKept = 16;
/** Folds made at the same time; a further call is told to come back. */
const foldsAtOnce = 2;

/** Reads encoded entries after a seq, or null when the shard does not answer. */
export type ReadAfter = (
  name: RoomName,
  after: number,
  limit: number,
) => Promise<readonly Uint8Array[] | null>;

/** What is asked of a snapshot. */
export interface SnapshotQuestion {
  readonly name: RoomName;
  readonly viewer: Viewer;
  /** Position of the room now. */
  readonly position: Pick<ReadPage, "epoch" | "head" | "floor">;
  readonly at: number;
  /** Messages below this seq. */
  readonly before: number;
  readonly limit: number;
  /** Members behind this user. */
  readonly membersAfter: string;
}

/** A snapshot, or why there is none: `busy` and `unavailable` pass, `large` does not. */
export type SnapshotOutcome =
  | { readonly kind: "ok"; readonly snapshot: object }
  | { readonly kind: "busy" | "unavailable" | "large" };

/**
 * Rooms as of a seq, a page at a time. The log is folded once (RoomFold) and the fold kept,
 * so that later pages and later positions cost little.
 */
export class Snapshots {
  private readonly read: ReadAfter;
  private readonly folds = new Map<string, RoomFold>();
  private folding = 0;

  /** `read`: through the shard that has the room. */
  constructor(read: ReadAfter) {
    this.read = read;
  }

  /** One page of a snapshot. */
  async take(question: SnapshotQuestion): Promise<SnapshotOutcome> {
    if (this.folding >= foldsAtOnce) return { kind: "busy" };
    this.folding += 1;
    try {
      const fold = await this.foldOf(question);
      if (fold === null) return { kind: "unavailable" };
      if (fold.at < question.at) return { kind: "large" };
      const page = await this.messages(question, fold);
      if (page === null) return { kind: "unavailable" };
      const { messages, before } = page;
      const { epoch, head, floor } = question.position;
      const { at } = question;
      const state = stateOf(question, fold);
      const snapshot = { epoch, at, from: floor, head, t: fold.timeUs, ...state, messages, before };
      return { kind: "ok", snapshot };
    } finally {
      this.folding -= 1;
    }
  }

  /** The fold up to `at`: a kept one that is not further, carried on. Null = no answer. */
  private async foldOf({ name, position, at }: SnapshotQuestion): Promise<RoomFold | null> {
    const key = `${name.tenant}\u0000${name.room}\u0000${position.epoch} ${position.floor}`;
    const kept = this.folds.get(key);
    const fold = kept === undefined || kept.at > at ? new RoomFold(position.floor) : kept;
    while (fold.at < at && !fold.full) {
      const limit = Math.min(pageEntries, at - fold.at);
      const entries = await this.entries(name, fold.at, limit);
      if (entries === null || entries.length === 0) return null;
      for (const entry of entries) if (entry.seq === fold.at + 1 && !fold.full) fold.apply(entry);
    }
    this.folds.delete(key);
    this.folds.set(key, fold);
    const [oldest] = this.folds.keys();
    if (this.folds.size > foldsKept && oldest !== undefined) this.folds.delete(oldest);
    return fold;
  }

  /** The newest messages below `before`, ascending; `before`: where the next page begins, or 0. */
  private async messages(
    { name, viewer, position, at, before, limit }: SnapshotQuestion,
    fold: RoomFold,
  ): Promise<{ readonly messages: readonly object[]; readonly before: number } | null> {
    const found: Entry[] = [];
    const lowest = Math.max(position.floor, viewer.fromSeq, 1);
    let below = Math.min(before, at + 1);
    for (let looked = 0; below > lowest && found.length < limit; ) {
      const first = Math.max(lowest, below - pageEntries);
      const page = await this.stretch(name, first, below - 1);
      if (page === null) return null;
      for (const entry of page.toReversed()) {
        if (found.length === limit) break;
        below = entry.seq;
        if (entry.type === "message" && sees(viewer, entry.seq, markOf(entry))) found.push(entry);
      }
      looked += page.length;
      if (looked >= entriesLookedAtMax) break;
    }
    const messages: object[] = [];
    for (const entry of found.toReversed()) {
      const message = await this.message(name, entry, fold);
      if (message === null) return null;
      messages.push(message);
    }
    return { messages, before: below > lowest ? below : 0 };
  }

  private async message(name: RoomName, entry: Entry, fold: RoomFold): Promise<object | null> {
    const { seq } = entry;
    const head = { seq, t: entry.timeUs, from: entry.sender };
    const parent = entry.parent === 0 ? {} : { parent: entry.parent };
    const thread = fold.threads.has(seq) ? { thread: true } : {};
    const redaction = fold.redacted.get(seq);
    if (redaction !== undefined || entry.redacted) {
      const by = redaction === undefined ? {} : { redacted_by: redaction };
      return { ...head, ...parent, body: "", redacted: true, ...by, ...thread };
    }
    const edit = fold.editOf(seq);
    const edited = edit === null ? [entry] : await this.entries(name, edit - 1, 1);
    const [shown] = edited ?? [];
    if (shown === undefined) return null;
    const edits = edit === null ? {} : { edited: { seq: shown.seq, t: shown.timeUs } };
    const reactions = [...(fold.reactions.get(seq) ?? [])].map(([reaction, users]) => {
      return { reaction, users: [...users] };
    });
    const reacted = reactions.length === 0 ? {} : { reactions };
    return { ...head, ...parent, ...bodyText(shown), ...edits, ...reacted, ...thread };
  }

  /** Entries first..last, all of them; null = no answer. */
  private async stretch(name: RoomName, first: number, last: number): Promise<Entry[] | null> {
    const all: Entry[] = [];
    for (let after = first - 1; after < last; ) {
      const page = await this.entries(name, after, last - after);
      const end = page?.at(-1)?.seq;
      if (page === null || end === undefined) return null;
      all.push(...page);
      after = end;
    }
    return all;
  }

  private async entries(name: RoomName, after: number, limit: number): Promise<Entry[] | null> {
    const encoded = await this.read(name, seqFrom(after), limit);
    if (encoded === null) return null;
    return encoded.flatMap((bytes) => {
      const decoded = decodeEntry(bytes);
      return decoded.ok ? [decoded.value] : [];
    });
  }
}

/** Settings and members, for staff bans and mutes; of a thread nothing: its room has them. */
function stateOf({ name, viewer, membersAfter, at }: SnapshotQuestion, fold: RoomFold): object {
  if (name.room.includes("/") || fold.at !== at) return {};
  const users = [...fold.members.keys()].filter((user) => user > membersAfter).sort();
  const members = users.slice(0, snapshotMembersMax).map((user) => {
    const { role, seq } = fold.members.get(user) ?? { role: "none", seq: 0 };
    return { user, role, seq };
  });
  const last = members.at(-1);
  const more =
    users.length > snapshotMembersMax && last !== undefined ? { members_next: last.user } : {};
  const state = { settings: fold.settings, members, ...more };
  if (!viewer.staff) return state;
  const list = (sanctions: ReadonlyMap<string, number>) =>
    [...sanctions].slice(0, snapshotMembersMax).map(([user, until]) => ({ user, until }));
  return { ...state, bans: list(fold.bans), mutes: list(fold.mutes) };
}
