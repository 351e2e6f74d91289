import type { Viewer } from "#replica/wire/visibility.ts";
import type { EntryMark } from "./entry-mark.ts";
import { sees } from "./entry-mark.ts";
import { joinedFrames } from "./frame-encoding.ts";
import type { FrameEncoding } from "./frame-encoding.ts";

/** For whom and how frames are made. */
export interface View {
  readonly encoding: FrameEncoding;
  readonly rid: number;
  readonly epoch: number;
  readonly viewer: Viewer;
}

interface Entry {
  readonly seq: number;
  readonly members: string;
  readonly mark: EntryMark | null;
}

/** Frames of consecutive entries: what the viewer does not see is skipped, so no seq is missing. */
export function viewFrames(view: View, entries: readonly Entry[]): Uint8Array {
  const { encoding, rid, epoch, viewer } = view;
  const frames: Uint8Array[] = [];
  let hidden = 0;
  for (const { seq, members, mark } of entries) {
    if (!sees(viewer, seq, mark)) {
      hidden = seq;
      continue;
    }
    if (hidden > 0) frames.push(encoding.skip(rid, epoch, hidden));
    hidden = 0;
    frames.push(encoding.event(rid, epoch, seq, members));
  }
  if (hidden > 0) frames.push(encoding.skip(rid, epoch, hidden));
  return joinedFrames(frames);
}

/** Equal for viewers who see the same of the entries first..last. */
export function sightKey(
  marks: { mark(seq: number): EntryMark | null },
  viewer: Viewer,
  first: number,
  last: number,
): string {
  let key = "";
  for (let seq = first; seq <= last; seq += 1)
    key += sees(viewer, seq, marks.mark(seq)) ? "1" : "0";
  return key;
}
