import { tileLeaves } from "#replica/proof/peaks.ts";

/** Leaves of a big tile: 256 tiles. */
export const bigTileLeaves = tileLeaves * tileLeaves;
/** Roots kept at most; some 10 MiB. */
const rootsMax = 1 << 16;
/** Big tiles of a room at most: 2^38 entries. */
const numbersMax = 2 ** 22;

/**
 * Roots of big tiles that proofs have needed, made from the roots of tiles. What a tile covers
 * never changes, so this is memory and no state: it may be forgotten at any time, and small rooms
 * have none.
 */
export class BigTiles {
  /** Roots that one run of a prover makes at most, of 256 hashes each: some milliseconds. */
  atOnceMax = 2;
  private readonly roots = new Map<number, Uint8Array>();

  /** Root of a room's big tile, from 0, or null. */
  get(room: number, number: number): Uint8Array | null {
    return this.roots.get(room * numbersMax + number) ?? null;
  }

  /** Keeps a root; the one that was made first goes when there are too many. */
  set(room: number, number: number, root: Uint8Array): void {
    if (this.roots.size >= rootsMax) {
      for (const oldest of this.roots.keys()) {
        this.roots.delete(oldest);
        break;
      }
    }
    this.roots.set(room * numbersMax + number, root);
  }

  /** Forgets all. */
  clear(): void {
    this.roots.clear();
  }
}
