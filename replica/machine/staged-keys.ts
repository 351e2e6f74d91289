import { assert } from "#replica/base/assert.ts";
import type { KeyRun } from "./key-run.ts";
import { RunWriter } from "./key-run.ts";

/** Keys of a piece. */
const pieceKeys = 1024;
/** Words of a key: two of the hash, the seq's low 32 bits. */
const keyWords = 3;
/** Pieces of one span before they become a run. */
const piecesMax = 64;

const nothing = new Int32Array(0);

/**
 * Keys of one span on their way from a checkpoint into a run: nobody looks them up yet, so they
 * are only appended, and sorted by bucket all at once. 12 bytes a key, in pieces of 12 KiB that go
 * round.
 */
export class StagedKeys {
  private readonly pool: Int32Array[];
  private readonly full: Int32Array[] = [];
  private piece: Int32Array = nothing;
  private at = 0;

  /** `pool`: pieces that nobody uses now. */
  constructor(pool: Int32Array[]) {
    this.pool = pool;
  }

  /** Keys held. */
  get count(): number {
    const rest = this.piece.length === 0 ? 0 : this.at / keyWords;
    return this.full.length * pieceKeys + rest;
  }

  /** Appends a key; true when it is time to make a run. */
  add(hash0: number, hash1: number, seqLow: number): boolean {
    const { piece, at } = this;
    if (at === piece.length) return this.next(hash0, hash1, seqLow);
    piece[at] = hash0;
    piece[at + 1] = hash1;
    piece[at + 2] = seqLow;
    this.at = at + keyWords;
    return false;
  }

  private next(hash0: number, hash1: number, seqLow: number): boolean {
    if (this.piece.length > 0) this.full.push(this.piece);
    this.piece = this.pool.pop() ?? new Int32Array(keyWords * pieceKeys);
    this.at = 0;
    this.add(hash0, hash1, seqLow);
    return this.full.length >= piecesMax;
  }

  /** The run of all keys, which are then no longer here. */
  takeRun(): KeyRun {
    const { count, full, piece, at } = this;
    assert(count > 0, "MCH-16: a run has keys");
    const run = RunWriter.sort([...full, piece.subarray(0, at)], count);
    this.pool.push(...full, piece);
    full.length = 0;
    this.piece = nothing;
    this.at = 0;
    return run;
  }
}
