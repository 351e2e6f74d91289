import { assert } from "#replica/base/assert.ts";
import { checksumOf } from "#replica/base/brands.ts";
import type { Checksum } from "#replica/base/brands.ts";
import type { ManifestSegment } from "./manifest.ts";

/*
 * A segment's blocks: history, rooms, keys, sessions, index, head. Head, little-endian: magic u32,
 * number of blocks of the five kinds before it u32 each, then the digest of each, 32 bytes. Index:
 * rows of 16 bytes, one a run of history: room u32, entries u32, seq of the first u48, block u16.
 */

/** Kinds of blocks of a segment, in their order. */
export const segmentSections = ["history", "rooms", "keys", "sessions", "index"] as const;

/** Kind of a block that the head lists. */
export type SegmentSection = (typeof segmentSections)[number];

/** First bytes of a head block. */
export const segmentMagic = 0x31474754;
/** Bytes of a head before the digests. */
export const headFixedBytes = 4 + 4 * segmentSections.length;
/** Bytes of a row of the index. */
export const indexRowBytes = 16;
/** Rows of one index block; only the last one has fewer. */
export const indexBlockRows = 2048;
/** Bytes of any block at most. */
export const blockBytesMax = 64 * 1024;
/** Blocks of a segment at most: what the storage's table of a file holds; its head is one block. */
export const segmentBlocksMax = 1000;

assert(headFixedBytes + 32 * segmentBlocksMax <= blockBytesMax, "SNP-04: a head is one block");

/** Range of blocks of one kind: [first, end). */
export interface BlockRange {
  readonly first: number;
  readonly end: number;
}

/** A segment's head block, read in place. */
export class SegmentHead {
  readonly bytes: Uint8Array;
  private readonly view: DataView;

  /** Asserts a well-formed head: its digest was checked. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    assert(bytes.length >= headFixedBytes, "SNP-03: head is short");
    assert(this.view.getUint32(0, true) === segmentMagic, "SNP-03: magic of a head");
    const blocks = (bytes.length - headFixedBytes) / 32;
    assert(this.range("index").end === blocks, "SNP-03: a digest a block");
  }

  /** Blocks of one kind. */
  range(section: SegmentSection): BlockRange {
    let first = 0;
    for (let i = 0; i < segmentSections.length; i += 1) {
      const count = this.view.getUint32(4 + 4 * i, true);
      if (segmentSections[i] === section) return { first, end: first + count };
      first += count;
    }
    assert(false, "SNP-03: section");
  }

  /** Digest of one block before the head. */
  digest(block: number): Checksum {
    const at = headFixedBytes + 32 * block;
    assert(block >= 0 && at + 32 <= this.bytes.length, "SNP-03: block number");
    return checksumOf(this.bytes.subarray(at, at + 32));
  }
}

/** Index of one durable segment in memory: 16 bytes a run of entries and 32 a block. */
export class SegmentIndex {
  readonly id: string;
  readonly entry: ManifestSegment;
  readonly head: SegmentHead;
  /** Blocks with the head block. */
  readonly blocksCount: number;
  readonly rowsCount: number;
  private readonly views: readonly DataView[];
  private readonly roomFirst: number;
  private readonly roomLast: number;

  /** `blocks`: the index blocks in order; their digests were checked. */
  constructor(entry: ManifestSegment, head: SegmentHead, blocks: readonly Uint8Array[]) {
    this.id = entry.id;
    this.entry = entry;
    this.head = head;
    this.blocksCount = entry.blocksCount;
    this.views = blocks.map((b) => new DataView(b.buffer, b.byteOffset, b.byteLength));
    let bytes = 0;
    for (const block of blocks) bytes += block.length;
    assert(bytes % indexRowBytes === 0, "SNP-03: rows of an index");
    this.rowsCount = bytes / indexRowBytes;
    this.roomFirst = this.rowsCount === 0 ? 1 : this.rowRoom(0);
    this.roomLast = this.rowsCount === 0 ? 0 : this.rowRoom(this.rowsCount - 1);
  }

  private viewOf(row: number): DataView {
    const view = this.views[Math.floor(row / indexBlockRows)];
    assert(view !== undefined, "SNP-03: row of an index");
    return view;
  }

  /** Room of a row. */
  rowRoom(row: number): number {
    return this.viewOf(row).getUint32((row % indexBlockRows) * indexRowBytes, true);
  }

  /** Entries of a row. */
  rowCount(row: number): number {
    return this.viewOf(row).getUint32((row % indexBlockRows) * indexRowBytes + 4, true);
  }

  /** Seq of a row's first entry. */
  rowSeq(row: number): number {
    const view = this.viewOf(row);
    const at = (row % indexBlockRows) * indexRowBytes;
    return view.getUint16(at + 12, true) * 2 ** 32 + view.getUint32(at + 8, true);
  }

  /** Block that holds an entry, or -1. */
  locate(room: number, seq: number): number {
    if (room < this.roomFirst || room > this.roomLast) return -1;
    let low = 0;
    let high = this.rowsCount;
    // The last row at or before (room, seq).
    while (low < high) {
      const middle = (low + high) >>> 1;
      const here = this.rowRoom(middle);
      if (here < room || (here === room && this.rowSeq(middle) <= seq)) low = middle + 1;
      else high = middle;
    }
    const row = low - 1;
    if (row < 0 || this.rowRoom(row) !== room) return -1;
    if (seq >= this.rowSeq(row) + this.rowCount(row)) return -1;
    return this.viewOf(row).getUint16((row % indexBlockRows) * indexRowBytes + 14, true);
  }

  /** True when it has an entry of a room below `floor`. */
  hasBelow(room: number, floor: number): boolean {
    if (room < this.roomFirst || room > this.roomLast) return false;
    let low = 0;
    let high = this.rowsCount;
    // The first row of the room.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.rowRoom(middle) < room) low = middle + 1;
      else high = middle;
    }
    return low < this.rowsCount && this.rowRoom(low) === room && this.rowSeq(low) < floor;
  }

  /** Digest of one block, the head block included. */
  blockDigest(block: number): Checksum {
    return block === this.blocksCount - 1 ? this.entry.digest : this.head.digest(block);
  }
}
