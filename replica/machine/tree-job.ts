import { assert } from "#replica/base/assert.ts";
import { treeHashBytes } from "#replica/proof/merkle.ts";
import type { ChunksShared } from "./entry-chunks.ts";

/*
 * What the ledger has hashed elsewhere: rooms' new entries, appended to their trees. A job and its
 * result are numbers and bytes in two arrays, because they travel between threads, and with many
 * quiet rooms there is a room an entry. A result follows from its job and the entries alone.
 */

/** Appends the new entries of some rooms to their trees. */
export interface TreeJob {
  /** Seed of the machine's state, 16 bytes: blinds the rooms' names in their records. */
  readonly seed: Uint8Array;
  /** Memory that holds the entries. */
  readonly entries: ChunksShared;
  /** A room after the other: see {@link TreeJobWriter.add}. */
  readonly numbers: Float64Array;
  readonly bytes: Uint8Array;
}

/** The same rooms in the same order: see {@link TreeResultWriter.add}. */
export interface TreeResult {
  readonly numbers: Float64Array;
  readonly bytes: Uint8Array;
}

/** One room of a job. */
export interface TreeJobRoom {
  /** RoomTable.nameRecord. */
  readonly names: Uint8Array;
  /** Frontier before (Peaks.encode); empty = no entries yet. */
  readonly frontier: Uint8Array;
  /** Entries of the tree afterwards. */
  readonly size: number;
  /** Address of an entry of the room that is as new as this size, or newer. */
  readonly newest: number;
}

/** One room of a result. */
export interface TreeResultRoom {
  /** Frontier afterwards; the place in the shard's log is 0. */
  readonly frontier: Uint8Array;
  /** Hash of the leaf in the shard's log that says: this room has this tree. */
  readonly leaf: Uint8Array;
  /** Roots of the tiles of 256 leaves that became complete, 32 bytes each, in order. */
  readonly tiles: Uint8Array;
}

const jobNumbers = 4;
const resultNumbers = 2;

/** Gathers numbers and bytes. */
class Gathered {
  private readonly numbers: number[] = [];
  private readonly pieces: Uint8Array[] = [];
  private length = 0;

  add(numbers: readonly number[], ...pieces: readonly Uint8Array[]): void {
    this.numbers.push(...numbers);
    for (const piece of pieces) {
      this.pieces.push(piece);
      this.length += piece.length;
    }
  }

  end(): { readonly numbers: Float64Array; readonly bytes: Uint8Array } {
    const bytes = new Uint8Array(this.length);
    let at = 0;
    for (const piece of this.pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return { numbers: Float64Array.from(this.numbers), bytes };
  }
}

/** Makes a job. */
export class TreeJobWriter {
  private readonly gathered = new Gathered();

  /** The next room. */
  add({ names, frontier, size, newest }: TreeJobRoom): void {
    this.gathered.add([size, newest, names.length, frontier.length], names, frontier);
  }

  /** The job. */
  end(seed: Uint8Array, entries: ChunksShared): TreeJob {
    return { seed, entries, ...this.gathered.end() };
  }
}

/** Makes a result. */
export class TreeResultWriter {
  private readonly gathered = new Gathered();

  /** The next room. */
  add({ frontier, leaf, tiles }: TreeResultRoom): void {
    assert(leaf.length === treeHashBytes, "MCH-21: a leaf is a hash");
    this.gathered.add([frontier.length, tiles.length], leaf, frontier, tiles);
  }

  /** The result. */
  end(): TreeResult {
    return this.gathered.end();
  }
}

/** Reads the rooms of a job in order. */
export class TreeJobReader {
  private readonly job: TreeJob;
  private room = 0;
  private at = 0;

  constructor(job: TreeJob) {
    this.job = job;
  }

  /** The next room, or null. Its bytes are views into the job's. */
  next(): TreeJobRoom | null {
    const { numbers, bytes } = this.job;
    const first = this.room * jobNumbers;
    if (first >= numbers.length) return null;
    const [size = 0, newest = -1, namesBytes = 0, frontierBytes = 0] = [
      ...numbers.subarray(first, first + jobNumbers),
    ];
    const names = bytes.subarray(this.at, this.at + namesBytes);
    this.at += namesBytes;
    const frontier = bytes.subarray(this.at, this.at + frontierBytes);
    this.at += frontierBytes;
    this.room += 1;
    return { names, frontier, size, newest };
  }
}

/** Reads the rooms of a result in order. */
export class TreeResultReader {
  private readonly result: TreeResult;
  private room = 0;
  private at = 0;

  constructor(result: TreeResult) {
    this.result = result;
  }

  /** The next room, or null. Its bytes are its own: they are kept for long. */
  next(): TreeResultRoom | null {
    const { numbers, bytes } = this.result;
    const first = this.room * resultNumbers;
    if (first >= numbers.length) return null;
    const take = (length: number): Uint8Array => {
      this.at += length;
      return bytes.slice(this.at - length, this.at);
    };
    const leaf = take(treeHashBytes);
    const frontier = take(numbers[first] ?? 0);
    const tiles = take(numbers[first + 1] ?? 0);
    this.room += 1;
    return { frontier, leaf, tiles };
  }
}
