import { assert } from "#replica/base/assert.ts";
import type { Digest } from "./merkle.ts";
import { emptyRoot, nodeHash, treeHashBytes, treeSizeMax } from "./merkle.ts";

/**
 * The right edge of an append-only tree: the roots of its complete subtrees, one for each bit of
 * its size, at most 53. Enough to append and to know the root (RFC 6962; design: "frontier").
 */
export class Frontier {
  private readonly digest: Digest;
  /** Roots of the complete subtrees, the largest first. */
  private readonly peaks: Uint8Array[];
  private leaves: number;

  private constructor(digest: Digest, size: number, peaks: Uint8Array[]) {
    this.digest = digest;
    this.leaves = size;
    this.peaks = peaks;
  }

  /** The frontier of the tree without entries. */
  static empty(digest: Digest): Frontier {
    return new Frontier(digest, 0, []);
  }

  /** The frontier that {@link encode} gave; null when the hashes do not fit the size. */
  static decode(digest: Digest, size: number, bytes: Uint8Array): Frontier | null {
    if (!Number.isSafeInteger(size) || size < 0) return null;
    let peaksCount = 0;
    for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) peaksCount += rest % 2;
    if (bytes.length !== peaksCount * treeHashBytes) return null;
    const peaks: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += treeHashBytes) {
      peaks.push(bytes.slice(at, at + treeHashBytes));
    }
    return new Frontier(digest, size, peaks);
  }

  /** Entries of the tree. */
  get size(): number {
    return this.leaves;
  }

  /** Appends one entry by the hash of its leaf. */
  append(leaf: Uint8Array): void {
    assert(leaf.length === treeHashBytes, "PRF-01: a leaf is a hash");
    assert(this.leaves < treeSizeMax, "PRF-03: size of a tree");
    let hash = leaf;
    for (let size = this.leaves; size % 2 === 1; size = Math.floor(size / 2)) {
      const left = this.peaks.pop();
      assert(left !== undefined, "PRF-03: a peak for each bit of the size");
      hash = nodeHash(this.digest, left, hash);
    }
    this.peaks.push(hash);
    this.leaves += 1;
  }

  /** Root of the tree. */
  root(): Uint8Array {
    let hash = this.peaks.at(-1);
    if (hash === undefined) return emptyRoot(this.digest);
    for (let i = this.peaks.length - 2; i >= 0; i -= 1) {
      hash = nodeHash(this.digest, this.peaks[i] ?? hash, hash);
    }
    return hash;
  }

  /** The hashes, the largest subtree first; the size travels beside them. */
  encode(): Uint8Array {
    const bytes = new Uint8Array(this.peaks.length * treeHashBytes);
    this.peaks.forEach((peak, i) => {
      bytes.set(peak, i * treeHashBytes);
    });
    return bytes;
  }
}
