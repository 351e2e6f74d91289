import { assert } from "#replica/base/assert.ts";
import { bytesEqual } from "#replica/base/bytes.ts";

/** SHA-256 of some bytes, 32 bytes; given by the caller so that this room stays pure. */
export type Digest = (bytes: Uint8Array) => Uint8Array;

/** Bytes of every hash of a tree. */
export const treeHashBytes = 32;
/** Entries of a tree at most: sizes are safe integers. */
export const treeSizeMax = Number.MAX_SAFE_INTEGER;

/** Hash of a leaf: H(0x00, entry). RFC 6962 section 2.1. */
export function leafHash(digest: Digest, entry: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + entry.length);
  bytes.set(entry, 1);
  return digest(bytes);
}

/** Hash of an inner node: H(0x01, left, right). RFC 6962 section 2.1. */
export function nodeHash(digest: Digest, left: Uint8Array, right: Uint8Array): Uint8Array {
  assert(left.length === treeHashBytes && right.length === treeHashBytes, "PRF-01: node of hashes");
  const bytes = new Uint8Array(1 + 2 * treeHashBytes);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 1 + treeHashBytes);
  return digest(bytes);
}

/** Root of the tree without entries: H of nothing. */
export function emptyRoot(digest: Digest): Uint8Array {
  return digest(new Uint8Array(0));
}

/** The largest power of two below `size`, from 2. */
function splitOf(size: number): number {
  let half = 1;
  while (half * 2 < size) half *= 2;
  return half;
}

/**
 * Hash of the complete subtree of leaves [first, first + count), where count is a power of two and
 * first a multiple of it. A caller answers from its stored hashes.
 */
export type SubtreeHash = (first: number, count: number) => Uint8Array;

/** Hash of leaves [first, end), which is a complete tree at its left: RFC 6962 section 2.1, MTH. */
function rangeHash(digest: Digest, subtree: SubtreeHash, first: number, end: number): Uint8Array {
  // From the right: the smallest complete subtree first.
  let hash: Uint8Array | null = null;
  let right = end;
  while (right > first) {
    let count = 1;
    while ((right - first) % (count * 2) === 0 && count * 2 <= right - first) count *= 2;
    const left = subtree(right - count, count);
    hash = hash === null ? left : nodeHash(digest, left, hash);
    right -= count;
  }
  assert(hash !== null, "PRF-02: a range has leaves");
  return hash;
}

/** Root of the first `size` leaves. */
export function treeRoot(digest: Digest, subtree: SubtreeHash, size: number): Uint8Array {
  return size === 0 ? emptyRoot(digest) : rangeHash(digest, subtree, 0, size);
}

/**
 * Proof that leaf `index` is in the tree of `size` leaves: hashes from the leaf up. RFC 6962
 * section 2.1.1, PATH. At most 53 hashes.
 */
export function inclusionProof(
  digest: Digest,
  subtree: SubtreeHash,
  index: number,
  size: number,
): readonly Uint8Array[] {
  assert(index >= 0 && index < size, "PRF-02: a leaf of the tree");
  const proof: Uint8Array[] = [];
  let first = 0;
  let end = size;
  while (end - first > 1) {
    const middle = first + splitOf(end - first);
    if (index < middle) {
      proof.push(rangeHash(digest, subtree, middle, end));
      end = middle;
    } else {
      proof.push(rangeHash(digest, subtree, first, middle));
      first = middle;
    }
  }
  return proof.reverse();
}

/**
 * Root that an inclusion proof leads to, or null when it has the wrong number of hashes. RFC 9162
 * section 2.1.3.2. Never throws on hostile input.
 */
export function rootFromInclusion(
  digest: Digest,
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
): Uint8Array | null {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size)) return null;
  if (index < 0 || index >= size || leaf.length !== treeHashBytes) return null;
  if (proof.some((hash) => hash.length !== treeHashBytes)) return null;
  let node = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) return null;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(digest, sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(digest, hash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? hash : null;
}

/** True when the proof shows that leaf `index` is in the tree of `size` leaves with this root. */
export function verifyInclusion(
  digest: Digest,
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  const found = rootFromInclusion(digest, leaf, index, size, proof);
  return found !== null && bytesEqual(found, root);
}

/**
 * Proof that the tree of `newSize` leaves extends the one of `oldSize`: RFC 6962 section 2.1.2,
 * SUBPROOF. Empty when the sizes are equal or the old tree is empty.
 */
export function consistencyProof(
  digest: Digest,
  subtree: SubtreeHash,
  oldSize: number,
  newSize: number,
): readonly Uint8Array[] {
  assert(oldSize >= 0 && oldSize <= newSize, "PRF-02: the old tree is no larger");
  if (oldSize === 0 || oldSize === newSize) return [];
  const proof: Uint8Array[] = [];
  let first = 0;
  let end = newSize;
  let whole = true;
  while (oldSize !== end) {
    const middle = first + splitOf(end - first);
    if (oldSize <= middle) {
      proof.push(rangeHash(digest, subtree, middle, end));
      end = middle;
    } else {
      proof.push(rangeHash(digest, subtree, first, middle));
      first = middle;
      whole = false;
    }
  }
  if (!whole) proof.push(rangeHash(digest, subtree, first, end));
  return proof.reverse();
}

/**
 * True when the proof shows that the tree of `newSize` leaves and root `newRoot` extends the one of
 * `oldSize` and `oldRoot`. RFC 9162 section 2.1.4.2. Never throws on hostile input.
 */
export function verifyConsistency(
  digest: Digest,
  older: { readonly size: number; readonly root: Uint8Array },
  newer: { readonly size: number; readonly root: Uint8Array },
  proof: readonly Uint8Array[],
): boolean {
  if (!Number.isSafeInteger(older.size) || !Number.isSafeInteger(newer.size)) return false;
  if (older.size < 0 || older.size > newer.size) return false;
  if (proof.some((hash) => hash.length !== treeHashBytes)) return false;
  if (older.size === newer.size) return proof.length === 0 && bytesEqual(older.root, newer.root);
  if (older.size === 0) return proof.length === 0 && bytesEqual(older.root, emptyRoot(digest));
  let node = older.size - 1;
  let last = newer.size - 1;
  while (node % 2 === 1) {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  // An old tree that is a power of two is itself the first hash.
  const hashes = node === 0 ? [older.root, ...proof] : proof;
  const [first, ...rest] = hashes;
  if (first === undefined) return false;
  let oldHash = first;
  let newHash = first;
  for (const hash of rest) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      oldHash = nodeHash(digest, hash, oldHash);
      newHash = nodeHash(digest, hash, newHash);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      newHash = nodeHash(digest, newHash, hash);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && bytesEqual(oldHash, older.root) && bytesEqual(newHash, newer.root);
}
