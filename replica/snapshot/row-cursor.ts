import { assert } from "#replica/base/assert.ts";
import { BlockStream } from "./block-stream.ts";
import { cellRowBytesMin, isCellRow, roomRowBytes } from "./port.ts";
import type { SegmentIndex } from "./segment-index.ts";

const nothing = new Uint8Array(0);
/** Words of a cell's row that order it: two of the hash, room, kind, two of the number. */
const orderWords = [8, 12, 16, 4, 24, 20] as const;

/** Walks the rows of rooms and cells of one group of segments. */
export class RowCursor {
  readonly stream: BlockStream;
  /** Block that the row lies in, from {@link at} on. */
  block: Uint8Array = nothing;
  view: DataView = new DataView(nothing.buffer);
  at = 0;
  /** Bytes of the row. */
  length = 0;

  constructor(parts: readonly SegmentIndex[]) {
    this.stream = new BlockStream(parts, "rooms");
  }

  /** Stands on a row; false: the next block is not here, or there is none. */
  ready(): boolean {
    if (this.length > 0) return true;
    if (this.at === this.block.length) {
      const block = this.stream.take();
      if (block === null) return false;
      this.block = block;
      this.view = new DataView(block.buffer, block.byteOffset, block.byteLength);
      this.at = 0;
    }
    this.length = roomRowBytes(this.view, this.at);
    const least = isCellRow(this.view, this.at) ? cellRowBytesMin : 8;
    assert(this.length >= least, "SNP-06: a row is whole");
    assert(this.at + this.length <= this.block.length, "SNP-06: a row within its block");
    return true;
  }

  /** Leaves the row. */
  advance(): void {
    this.at += this.length;
    this.length = 0;
  }
}

/**
 * Order of two rows: rooms by number, then cells by hash, room, kind, number and subject; 0: two
 * values of one cell.
 */
export function compareRows(one: RowCursor, other: RowCursor): number {
  const cell = isCellRow(one.view, one.at);
  if (cell !== isCellRow(other.view, other.at)) return cell ? 1 : -1;
  if (!cell) {
    return one.view.getUint32(one.at + 4, true) - other.view.getUint32(other.at + 4, true);
  }
  for (const word of orderWords) {
    const left = one.view.getUint32(one.at + word, true);
    const right = other.view.getUint32(other.at + word, true);
    if (left !== right) return left - right;
  }
  const last = Math.min(one.length, other.length);
  for (let i = cellRowBytesMin; i < last; i += 1) {
    const left = one.block[one.at + i] ?? 0;
    const right = other.block[other.at + i] ?? 0;
    if (left !== right) return left - right;
  }
  return one.length - other.length;
}
