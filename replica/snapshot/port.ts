import type { Checksum } from "#replica/base/brands.ts";
import { readU64 } from "#replica/base/bytes.ts";

/** SHA-256 in production, any fast digest in the simulator; equal on the replicas of a shard. */
export type Hash = (bytes: Uint8Array) => Checksum;

/** Place of one plaintext block. */
export interface BlockAddress {
  readonly segment: string;
  readonly block: number;
}

/** Kinds of blocks that a machine's delta turns into, in their order within a segment. */
export type Section = "history" | "rooms" | "keys";

/**
 * What changed between two checkpoints, frozen; the machine implements it. Reading it changes
 * nothing but its own position; later commits are not seen.
 */
export interface FrozenDelta {
  /** Op of the checkpoint. */
  readonly op: number;
  /** Encoded scalars of the machine as of `op`, canonical, ≤ 32 KiB: goes into the manifest. */
  readonly state: Uint8Array;
  /** Rows of remembered keys whose own time (milliseconds) is lower are forgotten. */
  readonly keyFloorMs: number;
  /**
   * Place of this checkpoint among those of a sweep: at 0 one begins, at {@link sweepDue} what it
   * made enters the manifest; -1: this machine's version knows none.
   */
  readonly sweepPhase: number;
  /**
   * Fills `block` with the next rows of a section and returns the bytes used, 0 when the section
   * is exhausted. Sections are read one after another, each to its end.
   */
  fill(section: Section, block: Uint8Array): number;
}

/** Phase of the checkpoint whose manifest has what a sweep made. */
export const sweepDue = 4;

/** What a sweep leaves of entries, as of the checkpoint that began it; the machine says it. */
export interface Sweeper {
  /** True when one of these entries of a room does not stay as it is. */
  touches(room: number, seqFirst: number, count: number): boolean;
  /** What is left of an entry; empty = nothing. */
  keep(room: number, seq: number, entry: Uint8Array): Uint8Array;
}

/** Where entries of history are in a segment; snapshot builds it, the machine asks it. */
export interface HistorySegment {
  readonly id: string;
  /** Block that holds an entry, or -1 when this segment does not. */
  locate(room: number, seq: number): number;
}

/** What a restore loads into; the machine implements it. Calls come in the order of the methods. */
export interface RestoreSink {
  /** Forgets everything, then takes the scalars of a manifest. */
  restoreBegin(op: number, state: Uint8Array): void;
  restoreRooms(block: Uint8Array): void;
  /** Entries [seqFirst, seqFirst + count) of a room are on disk. */
  restoreRun(room: number, seqFirst: number, count: number): void;
  restoreKeys(block: Uint8Array): void;
  /** Goes on with what the keys left to do, some milliseconds; false when nothing is left. */
  restoreSettle(): boolean;
  restoreEnd(history: readonly HistorySegment[]): void;
}

/** A segment to make durable: `Storage.writeSegment(id, blocks)`. */
export interface SegmentWrite {
  readonly id: string;
  readonly blocks: readonly Uint8Array[];
}

/*
 * What this room must know of the machine's rows. A row of a room begins with its own length and
 * its number, u32 each; a cell's row (replica/machine/cell-table.ts) with its own length and its
 * kind, marked by the highest bit; then the hash's halves and the room u32 each, number and value
 * u64, subject. A row of a key has 24 bytes and begins with the key's own time, milliseconds u48.
 */

/** Bytes of a row of a remembered key. */
export const keyRowBytes = 24;

/** Own time of the key of a row, milliseconds. */
export function keyRowMs(view: DataView, offset: number): number {
  return view.getUint16(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
}

/** Bytes of the row of a room. */
export function roomRowBytes(view: DataView, offset: number): number {
  return view.getUint32(offset, true);
}

/** Kinds of cells that a sweep follows: number = an entry that was redacted; value = new floor. */
const redactedKind = 6;
const floorKind = 21;

/** Bytes of the row of a cell before its subject. */
export const cellRowBytesMin = 36;

/** True when a row is a cell's. */
export function isCellRow(view: DataView, offset: number): boolean {
  return view.getUint32(offset + 4, true) >= 0x8000_0000;
}

/** What the row of a cell says of a room's entries, or null. */
export function goneOfCell(
  view: DataView,
  offset: number,
): { readonly room: number; readonly kind: "redacted" | "floor"; readonly seq: number } | null {
  const kind = view.getUint32(offset + 4, true) & 0xff;
  if (kind !== redactedKind && kind !== floorKind) return null;
  const room = view.getUint32(offset + 16, true);
  if (kind === redactedKind) return { room, kind: "redacted", seq: readU64(view, offset + 20) };
  return { room, kind: "floor", seq: readU64(view, offset + 28) };
}
