// Goal: who stops when checkpoints differ (rule A7). Method: every combination of three ids.
import assert from "node:assert/strict";
import { test } from "node:test";
import { replicaFrom } from "#replica/base/brands.ts";
import { compareIds } from "./agreement.ts";

function told(first: string | null, second: string | null) {
  return [
    { replica: replicaFrom(1), id: first },
    { replica: replicaFrom(2), id: second },
  ];
}

test("vsr: agreement: equal ids, and ids that nobody told, are no difference", () => {
  assert.deepEqual(compareIds("x", told("x", "x")), { kind: "agree" });
  assert.deepEqual(compareIds("x", told("x", null)), { kind: "agree" });
  assert.deepEqual(compareIds("x", told(null, null)), { kind: "agree" });
});

test("vsr: agreement: the odd one of three is known to all three", () => {
  assert.deepEqual(compareIds("y", told("x", "x")), { kind: "odd_here", peers: [1, 2] });
  assert.deepEqual(compareIds("x", told("y", "x")), { kind: "odd_there", peer: 1 });
  assert.deepEqual(compareIds("x", told("x", "y")), { kind: "odd_there", peer: 2 });
});

test("vsr: agreement: two that differ, or three, cannot say who is right", () => {
  const undecided = (peer: number, third: number) => ({ kind: "undecided", peer, third });
  assert.deepEqual(compareIds("x", told("y", null)), undecided(1, 2));
  assert.deepEqual(compareIds("x", told(null, "y")), undecided(2, 1));
  assert.deepEqual(compareIds("x", told("y", "z")), undecided(1, 2));
});
