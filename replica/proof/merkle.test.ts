// Against the roots and proofs of the certificate-transparency reference tests, and against the
// recursive definitions of RFC 6962 written out again here.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { bytesFromHex, hexFrom } from "#replica/base/bytes.ts";
import { Frontier } from "./frontier.ts";
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  nodeHash,
  rootFromInclusion,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from "./merkle.ts";

const sha256 = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.from(createHash("sha256").update(bytes).digest());

const entries = [
  ...["", "00", "10", "2021", "3031", "40414243", "5051525354555657"],
  "606162636465666768696a6b6c6d6e6f",
].map(bytesFromHex);
const roots = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/** MTH of RFC 6962 section 2.1, by its recursive definition. */
function mth(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (only === undefined) return sha256(new Uint8Array(0));
  if (leaves.length === 1) return only;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(sha256, mth(leaves.slice(0, k)), mth(leaves.slice(k)));
}

const leaves = Array.from({ length: 70 }, (_, i) =>
  leafHash(sha256, entries[i] ?? Uint8Array.of(i)),
);
const subtree = (first: number, count: number): Uint8Array => {
  assert.ok((count & (count - 1)) === 0 && first % count === 0, "only complete subtrees");
  return mth(leaves.slice(first, first + count));
};
const rootOf = (size: number): Uint8Array => mth(leaves.slice(0, size));

test("proof: roots of the reference trees, from a frontier and from subtrees", () => {
  const frontier = Frontier.empty(sha256);
  roots.forEach((root, size) => {
    assert.equal(frontier.size, size);
    assert.equal(hexFrom(frontier.root()), root);
    assert.equal(hexFrom(treeRoot(sha256, subtree, size)), root);
    const leaf = leaves[size];
    if (leaf !== undefined) frontier.append(leaf);
  });
});

test("proof: a frontier survives its encoding, and a wrong number of hashes is refused", () => {
  let frontier = Frontier.empty(sha256);
  leaves.forEach((leaf, i) => {
    frontier.append(leaf);
    assert.deepEqual(frontier.root(), rootOf(i + 1));
    const bytes = frontier.encode();
    const again = Frontier.decode(sha256, i + 1, bytes);
    assert.ok(again);
    assert.equal(Frontier.decode(sha256, i + 1, bytes.subarray(1)), null);
    frontier = again;
  });
  assert.equal(Frontier.decode(sha256, -1, new Uint8Array(0)), null);
});

test("proof: every leaf of every size has a proof, and no other place accepts it", () => {
  for (let size = 1; size <= leaves.length; size += 1) {
    const root = rootOf(size);
    for (let index = 0; index < size; index += size > 20 ? 7 : 1) {
      const leaf = leaves[index] ?? root;
      const proof = inclusionProof(sha256, subtree, index, size);
      assert.ok(verifyInclusion(sha256, leaf, index, size, proof, root));
      assert.ok(!verifyInclusion(sha256, leaf, (index + 1) % (size + 1), size, proof, root));
      assert.ok(!verifyInclusion(sha256, leaf, index, size, [...proof, root], root));
      assert.ok(size === 1 || !verifyInclusion(sha256, leaf, index, size, proof.slice(1), root));
    }
  }
});

test("proof: every older size is consistent with every newer one, and forks are not", () => {
  for (let newSize = 0; newSize <= 40; newSize += 1) {
    const newer = { size: newSize, root: rootOf(newSize) };
    for (let oldSize = 0; oldSize <= newSize; oldSize += 1) {
      const older = { size: oldSize, root: rootOf(oldSize) };
      const proof = consistencyProof(sha256, subtree, oldSize, newSize);
      assert.ok(verifyConsistency(sha256, older, newer, proof), `${oldSize} → ${newSize}`);
      const fork = { size: oldSize, root: sha256(older.root) };
      assert.ok(!verifyConsistency(sha256, fork, newer, proof));
      // Every tree extends the empty one, whatever its root.
      const forked = { ...newer, root: fork.root };
      assert.equal(verifyConsistency(sha256, older, forked, proof), oldSize === 0 && newSize > 0);
      assert.ok(!verifyConsistency(sha256, older, newer, [...proof, fork.root]));
    }
  }
});

test("proof: proofs of the reference tree of seven leaves, RFC 6962 section 2.1.3", () => {
  const [a, b, c, d, e, f, j] = leaves;
  assert.ok(a && b && c && d && e && f && j);
  const [g, h, i] = [nodeHash(sha256, a, b), nodeHash(sha256, c, d), nodeHash(sha256, e, f)];
  const k = nodeHash(sha256, g, h);
  const l = nodeHash(sha256, i, j);
  assert.deepEqual(inclusionProof(sha256, subtree, 0, 7), [b, h, l]);
  assert.deepEqual(inclusionProof(sha256, subtree, 3, 7), [c, g, l]);
  assert.deepEqual(inclusionProof(sha256, subtree, 4, 7), [f, j, k]);
  assert.deepEqual(inclusionProof(sha256, subtree, 6, 7), [i, k]);
  assert.deepEqual(consistencyProof(sha256, subtree, 3, 7), [c, d, g, l]);
  assert.deepEqual(consistencyProof(sha256, subtree, 4, 7), [l]);
  assert.deepEqual(consistencyProof(sha256, subtree, 6, 7), [i, j, k]);
});

test("proof: hostile proofs are refused without an exception", () => {
  const hash = fc.uint8Array({ minLength: 30, maxLength: 33 });
  fc.assert(
    fc.property(fc.array(hash, { maxLength: 8 }), fc.nat(80), fc.nat(80), (proof, x, y) => {
      const leaf = leaves[0] ?? new Uint8Array(32);
      const found = rootFromInclusion(sha256, leaf, x, y, proof);
      assert.ok(found === null || found.length === 32);
      const older = { size: x, root: rootOf(Math.min(x, 70)) };
      const newer = { size: y, root: rootOf(Math.min(y, 70)) };
      const same = x === y && proof.length === 0;
      const fromNothing = x === 0 && proof.length === 0;
      assert.equal(verifyConsistency(sha256, older, newer, proof), same || fromNothing);
    }),
  );
});
