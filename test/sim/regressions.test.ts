// Goal: seeds that once failed stay good; and that a seed is a run. A seed means another run when
// the swarm's options change: what it showed is therefore also a named scenario or unit test.
import assert from "node:assert/strict";
import { test } from "node:test";
import { findCanary } from "./canaries.ts";
import { simulate } from "./simulate.ts";

const seeds: readonly (readonly [number, string])[] = [
  [12, "a replica behind the ring is offered the checkpoint that a quorum has, not the newest"],
  [652, "a relayed prepare is its author's word: it needs no durable log_view of the relay"],
  [2204, "a checkpoint's op is in the WAL before it runs: a restart finds its head"],
  [3058, "clients learn durable views only: a lost view must not misdirect them for ever"],
  [814, "a view change that waits for the third vote says so"],
  [1117, "a lost tail that a newer log replaces is no broken promise"],
  [22062, "a replica with an uncertain head hands out headers"],
];

for (const [seed, claim] of seeds) {
  test(`sim: seed ${seed}: ${claim}`, () => {
    const outcome = simulate(seed);
    assert.equal(outcome.why, "");
    assert.ok(outcome.commits > 0);
  });
}

test("sim: one seed is one run, bit for bit", () => {
  for (const seed of [1, 31, 77, 136]) {
    const first = simulate(seed);
    assert.deepEqual(simulate(seed), first);
    assert.ok(first.events > 100);
  }
});

test("sim: the checkers bite: cheap canaries are found within a few seeds", () => {
  for (const id of ["ack_before_durable", "commit_single", "nack_faulty", "resume_as_primary"]) {
    assert.notEqual(findCanary(id, 60), null, id);
  }
});
