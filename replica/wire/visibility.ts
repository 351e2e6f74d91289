import { readU64 } from "#replica/base/bytes.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import { entryFixedBytes, entryFlagOwn, entryFlagRedacted, entryFlagStaff } from "./entry.ts";
import { entryHeadBytes, entrySaltBytes } from "./entry.ts";
import { decodeSanction } from "./entry-body.ts";

/** Who looks at a room; the machine's `standing` gives it. */
export interface Viewer {
  readonly user: string;
  /** Moderator or owner, or the tenant's server. */
  readonly staff: boolean;
  /** Entries with a lower seq are hidden. */
  readonly fromSeq: number;
}

/** A room's log as one viewer has it: every seq is in exactly one item, ascending. */
export type ViewItem =
  | { readonly kind: "entry"; readonly seq: number; readonly bytes: Uint8Array }
  /** Entries up to this seq are hidden. */
  | { readonly kind: "skip"; readonly to: number };

/** True when the viewer may see this encoded entry, which is known to be valid. */
export function isVisible(entry: Uint8Array, viewer: Viewer): boolean {
  const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
  if (readU64(view, 8) < viewer.fromSeq) return false;
  const flags = entry[3] ?? 0;
  if ((flags & (entryFlagStaff | entryFlagOwn)) === 0) return true;
  const head = entryHeadBytes(entry, 0);
  if (textFromUtf8(entry.subarray(entryFixedBytes, head)) === viewer.user) return true;
  if ((flags & entryFlagOwn) !== 0) return false;
  if (viewer.staff) return true;
  if ((flags & entryFlagRedacted) !== 0) return false;
  return decodeSanction(entry.subarray(head + entrySaltBytes))?.user === viewer.user;
}

/** What a viewer gets of consecutive entries (as a read gives them): hidden ones become skips. */
export function viewItems(entries: readonly Uint8Array[], viewer: Viewer): readonly ViewItem[] {
  const items: ViewItem[] = [];
  for (const bytes of entries) {
    const seq = readU64(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 8);
    if (isVisible(bytes, viewer)) items.push({ kind: "entry", seq, bytes });
    else if (items.at(-1)?.kind === "skip") items[items.length - 1] = { kind: "skip", to: seq };
    else items.push({ kind: "skip", to: seq });
  }
  return items;
}
