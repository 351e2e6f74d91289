import type { Entry, EntryType } from "#replica/wire/entry.ts";
import { decodeMember, decodeSanction } from "#replica/wire/entry-body.ts";
import type { Viewer } from "#replica/wire/visibility.ts";

/** What the fan-out has to know of an entry that is not a plain message. */
export interface EntryMark {
  readonly type: EntryType;
  readonly parent: number;
  readonly from: string;
  /** Who else sees it; null = everybody. */
  readonly only: "staff" | "own" | null;
  /** User whom a rule is about, or null. */
  readonly about: string | null;
}

/** The mark of an entry; null for a message that everybody sees. */
export function markOf(entry: Entry): EntryMark | null {
  const { type, parent, sender: from, visibility: only = null } = entry;
  if (type === "message" && only === null) return null;
  const rule = entry.redacted ? null : type === "member" ? decodeMember(entry.body) : null;
  const sanction = type === "ban" || type === "mute" ? decodeSanction(entry.body) : null;
  return { type, parent, from, only, about: (rule ?? sanction)?.user ?? null };
}

/** True when the viewer sees the entry; the twin of isVisible over encoded entries. */
export function sees(viewer: Viewer, seq: number, mark: EntryMark | null): boolean {
  if (seq < viewer.fromSeq) return false;
  if (mark === null || mark.only === null || mark.from === viewer.user) return true;
  return mark.only === "staff" && (viewer.staff || mark.about === viewer.user);
}

/** True when the entry may change what users see: the one it is about, or (null) all. */
export function changesSight(mark: EntryMark): boolean {
  return mark.type === "member" || mark.type === "ban" || mark.type === "settings";
}
