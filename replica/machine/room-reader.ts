import { assert } from "#replica/base/assert.ts";
import { readEntriesMax } from "#replica/base/limits.ts";
import type { ReadRange } from "#replica/wire/client-message.ts";
import { entryPrefixBytes } from "#replica/wire/entry.ts";
import { HistoryBlockReader } from "#replica/wire/history-block.ts";
import type { EntryStore } from "./entry-store.ts";
import type { BlockAddress, HistorySegment, LoadedBlock } from "./port.ts";

/** Bytes of entries in one answer or fact at most, unless one entry alone is larger. */
export const answerBytesMax = 192 * 1024;
/** Blocks that one step of a read asks for at most. */
const addressesMax = 32;

/** An encoded entry where it lies. */
export interface EntryPlace {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
}

/** The block that holds an entry on disk, or null when no segment has it. */
export function locateOnDisk(
  history: readonly HistorySegment[],
  room: number,
  seq: number,
): BlockAddress | null {
  // Newest first: what has just left memory is asked for most.
  for (let i = history.length - 1; i >= 0; i -= 1) {
    const segment = history[i];
    const block = segment?.locate(room, seq) ?? -1;
    if (segment !== undefined && block >= 0) return { segment: segment.id, block };
  }
  return null;
}

/** Finds entries in blocks of history: one a little behind the last one costs a few steps. */
export class BlockFinder {
  private block: Uint8Array | null = null;
  /** On the run of the last entry found; {@link at} is where that entry of `seq` begins. */
  private reader: HistoryBlockReader | null = null;
  private seq = 0;
  private at = 0;

  /** The entry, or null when the block does not hold it. */
  find(block: Uint8Array, room: number, seq: number): EntryPlace | null {
    const reader = this.runOf(block, room, seq);
    if (reader === null) return null;
    for (; this.seq < seq; this.seq += 1) {
      this.at += entryPrefixBytes + reader.view.getUint32(this.at, true);
    }
    const { at } = this;
    const length = reader.view.getUint32(at, true);
    assert(at + entryPrefixBytes + length <= reader.end, "MCH-10: entry within its run");
    return { bytes: block, at: at + entryPrefixBytes, length };
  }

  private runOf(block: Uint8Array, room: number, seq: number): HistoryBlockReader | null {
    const last = block === this.block ? this.reader : null;
    if (last?.room === room && seq >= this.seq && seq < last.seqFirst + last.count) return last;
    const reader = new HistoryBlockReader(block);
    this.block = block;
    this.reader = null;
    while (reader.next()) {
      const { seqFirst, count } = reader;
      if (reader.room !== room || seq < seqFirst || seq >= seqFirst + count) continue;
      this.reader = reader;
      this.seq = seqFirst;
      this.at = reader.start;
      return reader;
    }
    return null;
  }
}

/** First and last seq that a range names, given floor and head of the room; first > last: none. */
export function rangeOf(
  range: ReadRange,
  floor: number,
  head: number,
): { readonly first: number; readonly last: number } {
  const limit = Math.max(1, Math.min(range.limit, readEntriesMax));
  if (range.kind === "after") {
    const first = Math.max(range.seq + 1, floor);
    return { first, last: Math.min(head, first + limit - 1) };
  }
  const last = Math.min(range.seq - 1, head);
  return { first: Math.max(floor, last - limit + 1), last };
}

/** Where a read looks. */
export interface ReadSource {
  readonly store: EntryStore;
  readonly history: readonly HistorySegment[];
  readonly loaded: readonly LoadedBlock[];
}

/** Finds entries [first, last] of a room: places in ascending order, or blocks to load first. */
export function gather(
  source: ReadSource,
  room: number,
  newest: number,
  first: number,
  last: number,
): readonly EntryPlace[] | { readonly missing: readonly BlockAddress[] } {
  const { store } = source;
  const places: EntryPlace[] = [];
  let end = last;
  let at = last < first ? -1 : store.find(newest, last);
  for (; end >= first && at >= store.floor; end -= 1) {
    places.push({ bytes: store.bytesOf(at), at: store.offsetOf(at), length: store.lengthOf(at) });
    at = store.previousOf(at);
  }
  places.reverse();
  const missing: BlockAddress[] = [];
  const finder = new BlockFinder();
  const found: EntryPlace[] = [];
  for (let seq = first; seq <= end && missing.length < addressesMax; seq += 1) {
    const address = locateOnDisk(source.history, room, seq);
    assert(address !== null, "MCH-10: a committed entry is in memory or in a segment");
    const block = source.loaded.find(
      ({ address: { segment, block } }) => segment === address.segment && block === address.block,
    );
    if (block === undefined) {
      const known = missing.some((m) => m.segment === address.segment && m.block === address.block);
      if (!known) missing.push(address);
      continue;
    }
    const place = finder.find(block.bytes, room, seq);
    assert(place !== null, "MCH-10: a located entry is in its block");
    found.push(place);
  }
  return missing.length > 0 ? { missing } : [...found, ...places];
}

/**
 * Entries behind their lengths, in one buffer, cut to {@link answerBytesMax}: of the end for an
 * ascending read, of the beginning for a descending one.
 */
export function joinPlaces(places: readonly EntryPlace[], keep: "first" | "last"): Uint8Array {
  let bytes = 0;
  let count = 0;
  for (let i = 0; i < places.length; i += 1) {
    const place = keep === "first" ? places[i] : places[places.length - 1 - i];
    const more = entryPrefixBytes + (place?.length ?? 0);
    if (count > 0 && bytes + more > answerBytesMax) break;
    bytes += more;
    count += 1;
  }
  const joined = new Uint8Array(bytes);
  const view = new DataView(joined.buffer);
  let offset = 0;
  const chosen = keep === "first" ? places.slice(0, count) : places.slice(places.length - count);
  for (const place of chosen) {
    view.setUint32(offset, place.length, true);
    joined.set(place.bytes.subarray(place.at, place.at + place.length), offset + entryPrefixBytes);
    offset += entryPrefixBytes + place.length;
  }
  return joined;
}
