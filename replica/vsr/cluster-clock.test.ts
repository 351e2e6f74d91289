// Goal: one clock that is set wrong moves nothing (rule A10). Method: the pure agreement.
import assert from "node:assert/strict";
import { test } from "node:test";
import { replicaFrom } from "#replica/base/brands.ts";
import { Prng } from "#replica/base/prng.ts";
import { ClusterClock, marzullo, sampleOf } from "./cluster-clock.ts";

const wallUs = 1_800_000_000_000_000;
const sampleLifeMs = 10_000;
const toleranceMs = 500;
const far = 3_600_000_000;

/** A clock of replica 0 whose peers' clocks differ from its own by that much. */
function clockWith(first: number | null, second: number | null, nowMs = 1000): ClusterClock {
  const clock = new ClusterClock(replicaFrom(0), sampleLifeMs, toleranceMs);
  for (const [i, offsetUs] of [first, second].entries()) {
    if (offsetUs === null) continue;
    const sample = sampleOf(nowMs - 2, nowMs, wallUs - 1000 + offsetUs, wallUs, sampleLifeMs);
    assert.ok(sample !== null);
    clock.learn(replicaFrom(i + 1), sample);
  }
  return clock;
}

test("vsr: clock: alone, or with nobody who agrees, it is not synchronised", () => {
  assert.equal(clockWith(null, null).now(1000, wallUs), null);
  assert.equal(clockWith(far, null).now(1000, wallUs), null);
  assert.equal(clockWith(far, -far).now(1000, wallUs), null);
});

test("vsr: clock: with one that agrees it is the own clock, whatever the third says", () => {
  for (const third of [null, far, -far, 0]) {
    assert.equal(clockWith(20_000, third).now(1000, wallUs), wallUs);
  }
});

test("vsr: clock: a clock far ahead of two that agree follows these two", () => {
  const now = clockWith(-far, -far + 3000).now(1000, wallUs) ?? 0;
  assert.ok(Math.abs(now - (wallUs - far)) <= 2000 * toleranceMs, `${now - wallUs + far}`);
});

test("vsr: clock: samples age, better ones stay a while, old ones do not count", () => {
  const clock = clockWith(0, null);
  assert.notEqual(clock.now(1000 + sampleLifeMs, wallUs), null);
  assert.equal(clock.now(1001 + sampleLifeMs, wallUs), null);
  clock.learn(replicaFrom(1), { atMs: 1100, offsetUs: far, errorUs: 50_000 });
  assert.equal(clock.now(1100, wallUs), wallUs, "a longer way tells less");
  clock.forget();
  assert.equal(clock.now(1100, wallUs), null);
});

test("vsr: clock: ways that cannot be are no samples", () => {
  assert.equal(sampleOf(10, 5, wallUs, wallUs, sampleLifeMs), null);
  assert.equal(sampleOf(0, sampleLifeMs + 1, wallUs, wallUs, sampleLifeMs), null);
});

test("vsr: clock: what two or three agree on lies within two of the sources", () => {
  const prng = new Prng(5);
  for (let run = 0; run < 5000; run += 1) {
    const sources = Array.from({ length: 3 }, () => {
      const lowUs = prng.below(40);
      return { lowUs, highUs: lowUs + 1 + prng.below(10) };
    });
    const best = marzullo(sources, 2);
    const covers = (at: number) => sources.filter((s) => s.lowUs <= at && at <= s.highUs).length;
    const most = Math.max(...Array.from({ length: 60 }, (_, at) => covers(at)));
    assert.equal(best !== null, most >= 2);
    if (best === null) continue;
    assert.ok(best.lowUs <= best.highUs);
    assert.equal(covers(best.lowUs), most);
    assert.equal(covers(best.highUs), most);
  }
});
