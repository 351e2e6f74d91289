// Goal: what extends a pinned log is taken, what does not is a fork. Method: proofs by the
// recursive definitions of RFC 6962 for all pairs of small sizes, and each hash of them changed.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { extendsTree } from "./log-pin.ts";

type Hashes = readonly Uint8Array[];

function sha256(...parts: Hashes): Uint8Array {
  return Uint8Array.from(createHash("sha256").update(Buffer.concat(parts)).digest());
}

const sizeMax = 20;
const leaves = Array.from({ length: sizeMax }, (_, i) => sha256(Uint8Array.of(0, i)));

/** Largest power of two below a count. */
function halfOf(count: number): number {
  let half = 1;
  while (half * 2 < count) half *= 2;
  return half;
}

/** MTH of section 2.1 over leaf hashes. */
function rootOf(hashes: Hashes): Uint8Array {
  const [only] = hashes;
  if (hashes.length === 1 && only !== undefined) return only;
  const half = halfOf(hashes.length);
  return sha256(Uint8Array.of(1), rootOf(hashes.slice(0, half)), rootOf(hashes.slice(half)));
}

/** SUBPROOF of section 2.1.2. */
function subproof(older: number, hashes: Hashes, whole: boolean): Hashes {
  if (older === hashes.length) return whole ? [] : [rootOf(hashes)];
  const half = halfOf(hashes.length);
  if (older <= half) {
    return [...subproof(older, hashes.slice(0, half), whole), rootOf(hashes.slice(half))];
  }
  const right = subproof(older - half, hashes.slice(half), false);
  return [...right, rootOf(hashes.slice(0, half))];
}

test("sdk: every extension of a log is proved, and nothing else is", async () => {
  for (let newer = 1; newer <= sizeMax; newer += 1) {
    for (let older = 1; older <= newer; older += 1) {
      const proof = [...subproof(older, leaves.slice(0, newer), true)];
      const roots = [rootOf(leaves.slice(0, older)), rootOf(leaves.slice(0, newer))] as const;
      const what = `${older} of ${newer}`;
      assert.equal(await extendsTree([older, newer], roots, proof), true, what);
      const forged = [sha256(roots[0]), roots[1]] as const;
      assert.equal(await extendsTree([older, newer], forged, proof), false, what);
      for (let i = 0; i < proof.length; i += 1) {
        const altered = proof.with(i, sha256(proof[i] ?? new Uint8Array(0)));
        assert.equal(await extendsTree([older, newer], roots, altered), false, what);
      }
      assert.equal(await extendsTree([older, newer], roots, [...proof, roots[0]]), false, what);
    }
  }
});
