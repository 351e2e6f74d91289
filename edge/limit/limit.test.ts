// Token buckets over supplied time.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { edgeLimitsDefault, edgeLimitsFrom } from "./edge-limits.ts";
import { KeyedBuckets } from "./keyed-buckets.ts";
import { TokenBucket } from "./token-bucket.ts";

test("limit: a bucket lets its burst through at once, then its rate", () => {
  const bucket = new TokenBucket({ perS: 5, burst: 20 }, 0);
  for (let i = 0; i < 20; i += 1) assert.equal(bucket.take(1, 0), 0);
  assert.equal(bucket.take(1, 0), 200);
  assert.equal(bucket.take(1, 199), 1);
  assert.equal(bucket.take(1, 200), 0);
});

test("limit: over any time no more than burst + rate passes, and waiting as told suffices", () => {
  const steps = fc.array(fc.nat(400), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(steps, (waits) => {
      const bucket = new TokenBucket({ perS: 10, burst: 3 }, 0);
      let now = 0;
      let passed = 0;
      for (const wait of waits) {
        now += wait;
        const retry = bucket.take(1, now);
        if (retry === 0) passed += 1;
        else {
          now += retry;
          assert.equal(bucket.take(1, now), 0);
          passed += 1;
        }
      }
      assert.ok(passed <= 3 + now / 100 + 1e-6);
    }),
    { numRuns: 100 },
  );
});

test("limit: a clock that jumps back gives nothing away", () => {
  const bucket = new TokenBucket({ perS: 1, burst: 1 }, 1000);
  assert.equal(bucket.take(1, 1000), 0);
  assert.ok(bucket.take(1, 0) > 0);
  assert.ok(bucket.take(1, 1500) > 0);
  assert.equal(bucket.take(1, 2000), 0);
});

test("limit: many keys are bounded, and idle ones are forgotten", () => {
  const buckets = new KeyedBuckets({ perS: 1, burst: 1 }, 10, 0);
  for (let i = 0; i < 1000; i += 1) buckets.take(`k${i}`, i);
  assert.equal(buckets.count, 10);
  assert.equal(buckets.take("later", 100_000), 0);
  assert.ok(buckets.take("later", 100_000) > 0);
});

test("limit: overrides are checked by name and form", () => {
  assert.equal(edgeLimitsFrom(undefined), edgeLimitsDefault);
  const changed = edgeLimitsFrom({ posts: { perS: 50, burst: 100 } });
  assert.ok(typeof changed !== "string" && changed.posts.burst === 100);
  assert.equal(edgeLimitsFrom({ post: 1 }), "limits has no member post");
  assert.equal(edgeLimitsFrom({ posts: { perS: 0, burst: 1 } }), "limits.posts is malformed");
});
