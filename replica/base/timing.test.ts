// Goal: times and quorums that do not fit each other are refused with the member and the bound.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import {
  completeTiming,
  quorumProblem,
  type TimingConfig,
  timingBounds,
  timingProblem,
} from "./timing.ts";

const core = { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 };

function told(change: Partial<TimingConfig>): string | null {
  const problem = timingProblem(completeTiming({ ...core, ...change }));
  return problem === null ? null : `${problem.member} ${problem.what}`;
}

test("timing: defaults fit whatever the core is, as long as the core fits itself", () => {
  for (const heartbeatMs of [5, 20, 333, 10_000]) {
    for (const suspectMs of [20, 21, 100, 1_333, 60_000]) {
      for (const viewChangeMs of [20, 150, 2_000, 60_000]) {
        if (suspectMs < 4 * heartbeatMs || viewChangeMs < suspectMs) continue;
        const config = { heartbeatMs, suspectMs, viewChangeMs };
        strictEqual(timingProblem(completeTiming(config)), null, JSON.stringify(config));
      }
    }
  }
});

test("timing: each violated rule is one sentence that names member and bound", () => {
  strictEqual(told({}), null);
  strictEqual(told({ suspectMs: 79 }), "suspectMs must be at least 4 x heartbeatMs, that is 80");
  strictEqual(told({ viewChangeMs: 99 }), "viewChangeMs must be at least suspectMs, that is 100");
  strictEqual(told({ suspectMaxMs: 99 }), "suspectMaxMs must be at least suspectMs, that is 100");
  strictEqual(
    told({ suspectMaxMs: 201 }),
    "suspectMs must be at least suspectMaxMs / 2, that is 101",
  );
  ok(told({ gapMemoryMs: 1_999 })?.endsWith("at least 10 x suspectMaxMs, that is 2000"));
  strictEqual(told({ latenessMs: 19 }), "latenessMs must be at least heartbeatMs, that is 20");
  strictEqual(told({ latenessMs: 101 }), "suspectMs must be at least latenessMs, that is 101");
  strictEqual(told({ transferMs: 151 }), "viewChangeMs must be at least transferMs, that is 151");
  ok(told({ handOverMs: 150 })?.startsWith("handOverMs must be at least transferMs"));
  ok(told({ peerSilenceMs: 900 })?.endsWith("4 x peerAliveMs, that is 1000"));
  ok(told({ syncPatienceMs: 150 })?.startsWith("syncPatienceMs must be at least chunkRetryMs"));
  ok(told({ batchGapMs: 13 })?.startsWith("suspectMs must be at least 8 x batchGapMs"));
  const least = (member: string) => told({ [member]: 99 });
  strictEqual(
    told({ identifierGatherMs: 101 }),
    "suspectMs must be at least identifierGatherMs, that is 101",
  );
  strictEqual(
    told({ batchLingerMs: 13 }),
    "suspectMs must be at least 8 x batchLingerMs, that is 104",
  );
  strictEqual(told({ clockSampleMs: 1_000 }), null);
  ok(told({ clockSampleMs: 1_000, heartbeatMs: 21 })?.endsWith("2 x 25 heartbeats, that is 1050"));
  ok(told({ clockSampleMs: 500_001 })?.endsWith("at least clockSampleMs / 1000, that is 501"));
  ok(told({ garbageHoldMs: 1_999 })?.endsWith("at least 2 x syncPatienceMs, that is 2000"));
  strictEqual(least("cosignResendMs"), "cosignResendMs must be at least suspectMs, that is 100");
  strictEqual(least("pulseAfterMs"), "pulseAfterMs must be at least suspectMs, that is 100");
  strictEqual(
    least("primarySilenceMs"),
    "primarySilenceMs must be at least suspectMaxMs, that is 200",
  );
  ok(told({ peerHeardMs: 199 })?.endsWith("at least 2 x 5 heartbeats, that is 200"));
  ok(told({ redialFirstMs: 501 })?.startsWith("redialMaxMs must be at least redialFirstMs"));
  ok(told({ handshakeMs: 499 })?.startsWith("handshakeMs must be at least redialMaxMs"));
  ok(told({ refusedWindowMs: 499 })?.startsWith("refusedWindowMs must be at least redialMaxMs"));
  for (const [member, [min, max]] of Object.entries(timingBounds)) {
    const range = `${member} must be a whole number from ${min} to ${max}`;
    strictEqual(told({ [member]: max + 1 }), range);
    strictEqual(told({ [member]: min - 1 }), range);
    strictEqual(told({ [member]: min + 0.5 }), range);
  }
});

test("timing: quorums must be majorities that share a replica", () => {
  for (let replication = 0; replication <= 4; replication += 1) {
    for (let viewChange = 0; viewChange <= 4; viewChange += 1) {
      const fits = replication >= 2 && viewChange >= 2 && replication <= 3 && viewChange <= 3;
      strictEqual(quorumProblem({ replication, viewChange }) === null, fits);
    }
  }
  deepStrictEqual(quorumProblem({ replication: 1, viewChange: 3 }), {
    member: "replication",
    what: "must be more than half of 3 replicas",
  });
});
