// Goal: seeds that once failed stay good; and that a seed is a run. A seed means another run when
// the swarm's options change: what it showed is therefore also a named scenario or unit test.
import assert from "node:assert/strict";
import { test } from "node:test";
import { findCanary, findUnitCanary, unitCanaries } from "./canaries.ts";
import { simulate } from "./simulate.ts";

const seeds: readonly (readonly [number, string])[] = [
  [76, "a primary that refused while it formed is asked again"],
  [2346802432, "a learner makes its peers' checkpoints though it was replaced twice"],
  [2314692353, "answers go where the client spoke last, though an older hello comes later"],
  [30, "identifiers of a slow disk follow in the end"],
  [390215, "a prepare that a slow disk ends late has its identifier before the look"],
  [486, "who comes to lead with its own REPLACE in its log still has a key to sign with"],
  [390214, "a replaced member's cosignature is not passed off as the new one's"],
  [25385, "a body of which no identifier is durable yet does not decay to zeros"],
  [50958, "a process that opened late suspects its primary as early as any other"],
  [7518, "an end of the log that a view dropped may have overwritten what a replica still needs"],
];

for (const [seed, claim] of seeds) {
  test(`sim: seed ${seed}: ${claim}`, () => {
    const outcome = simulate(seed);
    assert.equal(outcome.why, "");
    assert.ok(outcome.commits > 0);
  });
}

test("sim: one seed is one run, bit for bit", () => {
  for (const seed of [1, 31, 77]) {
    const first = simulate(seed);
    assert.deepEqual(simulate(seed), first);
    assert.ok(first.events > 100);
  }
});

test("sim: bugs that no run can find are found by a named test", () => {
  for (const canary of unitCanaries) assert.ok(findUnitCanary(canary), canary.id);
});

test("sim: the checkers bite: cheap canaries are found within a few seeds", () => {
  for (const id of ["ack_before_durable", "skip_sync", "reuse_nonce", "prepare_twice"]) {
    assert.notEqual(findCanary(id, 10), null, id);
  }
});
