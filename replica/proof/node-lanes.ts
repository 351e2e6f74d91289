import type { HashMany } from "./hash-many.ts";
import { treeHashBytes } from "./merkle.ts";

/** Leaves that are appended at once at most. */
export const leavesAtOnceMax = 64;
/** A node's preimage (0x01, left, right) and its padding. */
const nodeBytes = 1 + 2 * treeHashBytes;
const slotBytes = 128;
/** Nodes above 64 leaves that begin at an odd place, and above those. */
const slots = [leavesAtOnceMax / 2 + 1, leavesAtOnceMax / 4 + 1] as const;
/** Bytes of memory that {@link NodeLanes} wants. */
export const nodeLanesBytes = (slots[0] + slots[1]) * slotBytes;

/**
 * Preimages of the nodes above a row of new leaves, level by level in two areas by turns: a hash
 * is written to where the node above it wants it. RFC 6962 section 2.1.
 */
export class NodeLanes {
  private readonly many: HashMany;
  private readonly areas: readonly [number, number];
  private readonly starts = new Int32Array(slots[0]);
  private readonly blocks: number;
  private readonly outs = new Int32Array(slots[0]);

  /** Uses {@link nodeLanesBytes} of `many` from `at` on. */
  constructor(many: HashMany, at: number) {
    this.many = many;
    this.areas = [at, at + slots[0] * slotBytes];
    let blocks = 0;
    // The padding stays: hashes go between it and the first byte.
    for (let from = at; from < at + nodeLanesBytes; from += slotBytes) {
      many.bytes[from] = 1;
      blocks = many.pad(from, nodeBytes);
    }
    this.blocks = blocks;
  }

  /** Memory that the places are in. */
  get bytes(): Uint8Array {
    return this.many.bytes;
  }

  /** Where the hash of node `i` of a row goes that begins at an odd place, or does not. */
  place(level: number, odd: number, i: number): number {
    const number = odd + i;
    const slot = (this.areas[level & 1] ?? 0) + (number >>> 1) * slotBytes;
    return slot + 1 + (number & 1) * treeHashBytes;
  }

  /** Hashes `count` pairs of a level to the row above it, which begins at an odd place or not. */
  hash(level: number, count: number, oddAbove: number): void {
    const area = this.areas[level & 1] ?? 0;
    for (let i = 0; i < count; i += 1) {
      this.starts[i] = area + i * slotBytes;
      this.outs[i] = this.place(level + 1, oddAbove, i);
    }
    this.many.hashPadded(count, this.starts, this.blocks, this.outs);
  }
}
