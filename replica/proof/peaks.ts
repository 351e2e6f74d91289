import { assert } from "#replica/base/assert.ts";
import { readU64, writeU64 } from "#replica/base/bytes.ts";
import type { HashInto } from "./hash-many.ts";
import { treeHashBytes } from "./merkle.ts";
import { leavesAtOnceMax, type NodeLanes } from "./node-lanes.ts";

/** Peaks of a tree at most: sizes are safe integers. */
const peaksMax = 54;
/** Bytes of an encoded frontier before its hashes: place in the shard's log u64, size u64. */
export const peaksFixedBytes = 16;
/** A tile is the root of 2^8 leaves, or of 2^8 tiles of the level below. */
export const tileBits = 8;
/** Leaves of a tile. */
export const tileLeaves = 1 << tileBits;

/**
 * Told of every root of a complete tile as it comes to be; `level` 1 covers 256 leaves. `number`:
 * which tile of its level, from 0.
 */
export type OnTile = (level: number, number: number, bytes: Uint8Array, at: number) => void;

/**
 * The same frontier as {@link Frontier}, in place and for reuse: one buffer, no object a hash,
 * because it runs for every committed entry. RFC 6962 section 2.1.
 */
export class Peaks {
  /** Leaves. */
  size = 0;
  private readonly hash: HashInto;
  /** From byte 1 on, so that the byte before any two neighbours can be the 0x01 of a node. */
  private readonly peaks = new Uint8Array(1 + (peaksMax + 1) * treeHashBytes);
  private readonly node = new Uint8Array(1 + 2 * treeHashBytes);
  /** Peaks of a row of leaves under way, the smallest subtree first. */
  private readonly rest = new Uint8Array(peaksMax * treeHashBytes);
  private count = 0;

  constructor(hash: HashInto) {
    this.hash = hash;
    this.node[0] = 1;
  }

  /** Becomes the empty tree. */
  clear(): void {
    this.size = 0;
    this.count = 0;
  }

  /** Becomes the tree of a record that {@link encode} made. */
  load(record: Uint8Array): void {
    const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
    const size = readU64(view, 8);
    let count = 0;
    for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
    const right = record.length === peaksFixedBytes + count * treeHashBytes;
    assert(right, "PRF-03: a hash for each bit of the size");
    this.peaks.set(record.subarray(peaksFixedBytes), 1);
    this.size = size;
    this.count = count;
  }

  /** Place of the room's record in the shard's log, size, peaks: what is stored. */
  encode(logIndex: number): Uint8Array {
    const bytes = new Uint8Array(peaksFixedBytes + this.count * treeHashBytes);
    const view = new DataView(bytes.buffer);
    writeU64(view, 0, logIndex);
    writeU64(view, 8, this.size);
    bytes.set(this.peaks.subarray(1, 1 + this.count * treeHashBytes), peaksFixedBytes);
    return bytes;
  }

  /** Appends the leaf whose hash stands at `at` of `leaf`. */
  append(leaf: Uint8Array, at: number, onTile: OnTile): void {
    const { peaks } = this;
    let top = 1 + this.count * treeHashBytes;
    for (let i = 0; i < treeHashBytes; i += 1) peaks[top + i] = leaf[at + i] ?? 0;
    let height = 0;
    for (let rest = this.size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      const left = top - treeHashBytes;
      const before = peaks[left - 1] ?? 0;
      peaks[left - 1] = 1;
      this.hash(peaks.subarray(left - 1, left + 2 * treeHashBytes), peaks, left);
      peaks[left - 1] = before;
      top = left;
      height += 1;
      if (height % tileBits !== 0) continue;
      onTile(height / tileBits, Math.floor(this.size / 2 ** height), peaks, top);
    }
    this.size += 1;
    this.count = (top - 1) / treeHashBytes + 1;
    assert(this.count < peaksMax, "PRF-03: size of a tree");
  }

  /**
   * Appends leaves, at most {@link leavesAtOnceMax}, whose hashes stand at the places of level 0
   * of `nodes`: a row of hashes makes the row above it, what is left over becomes a peak.
   */
  appendAll(count: number, nodes: NodeLanes, onTile: OnTile): void {
    assert(count >= 1 && count <= leavesAtOnceMax, "PRF-03: leaves at once");
    const { peaks, rest } = this;
    let row = count;
    let first = this.size;
    let restCount = 0;
    for (let level = 0; row > 0; level += 1) {
      const odd = first % 2;
      // The left half of the first pair is the peak of this level.
      if (odd === 1) {
        this.count -= 1;
        const from = 1 + this.count * treeHashBytes;
        nodes.bytes.set(peaks.subarray(from, from + treeHashBytes), nodes.place(level, 0, 0));
      }
      if ((odd + row) % 2 === 1) {
        const at = nodes.place(level, odd, row - 1);
        rest.set(nodes.bytes.subarray(at, at + treeHashBytes), restCount * treeHashBytes);
        restCount += 1;
      }
      row = Math.floor((odd + row) / 2);
      first = Math.floor(first / 2);
      const oddAbove = first % 2;
      if (row > 0) nodes.hash(level, row, oddAbove);
      if ((level + 1) % tileBits !== 0) continue;
      for (let i = 0; i < row; i += 1) {
        const at = nodes.place(level + 1, oddAbove, i);
        onTile((level + 1) / tileBits, first + i, nodes.bytes, at);
      }
    }
    for (let i = restCount - 1; i >= 0; i -= 1) {
      const hash = rest.subarray(i * treeHashBytes, (i + 1) * treeHashBytes);
      peaks.set(hash, 1 + this.count * treeHashBytes);
      this.count += 1;
    }
    this.size += count;
    assert(this.count < peaksMax, "PRF-03: size of a tree");
  }

  /** Writes the root to 32 bytes of `into`. */
  root(into: Uint8Array, at: number): void {
    const { peaks, node, count } = this;
    if (count === 0) {
      this.hash(new Uint8Array(0), into, at);
      return;
    }
    const last = 1 + (count - 1) * treeHashBytes;
    for (let i = 0; i < treeHashBytes; i += 1) into[at + i] = peaks[last + i] ?? 0;
    for (let peak = count - 2; peak >= 0; peak -= 1) {
      for (let i = 0; i < treeHashBytes; i += 1) {
        node[1 + i] = peaks[1 + peak * treeHashBytes + i] ?? 0;
        node[33 + i] = into[at + i] ?? 0;
      }
      this.hash(node, into, at);
    }
  }
}

/** Place of a room's record in the shard's log, from an encoded frontier. */
export function recordLogIndex(record: Uint8Array): number {
  return readU64(new DataView(record.buffer, record.byteOffset, record.byteLength), 0);
}

/** Leaves of the tree of an encoded frontier. */
export function recordSize(record: Uint8Array): number {
  return readU64(new DataView(record.buffer, record.byteOffset, record.byteLength), 8);
}

/** Sets the place of a room's record in the shard's log, in an encoded frontier. */
export function setRecordLogIndex(record: Uint8Array, logIndex: number): void {
  writeU64(new DataView(record.buffer, record.byteOffset, record.byteLength), 0, logIndex);
}
