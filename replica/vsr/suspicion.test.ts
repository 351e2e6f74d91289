// Goal: patience with a primary grows with its gaps of late, within bounds, and shrinks again.
// Method: the pure rules against a naive model over random histories; the real class by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { replicaFrom } from "#replica/base/brands.ts";
import { Prng } from "#replica/base/prng.ts";
import { completeTiming, timingProblem } from "#replica/base/timing.ts";
import { Bench, leadViewOne } from "#test/support/bare-core/bench.ts";
import { GapMemory } from "./gap-memory.ts";
import { patienceMs } from "./suspicion.ts";

test("vsr: gaps: random histories: each counts for its time, none for over twice that", () => {
  const prng = new Prng(5);
  for (let run = 0; run < 500; run += 1) {
    const [spanMs, maxMs] = [prng.between(100, 2000), prng.between(50, 300)];
    const memory = new GapMemory(spanMs, maxMs);
    const learned: { readonly atMs: number; readonly gapMs: number }[] = [];
    let nowMs = prng.below(1000);
    for (let step = 0; step < 60; step += 1) {
      nowMs += prng.below(Math.ceil(spanMs / 2));
      if (prng.chance(0.6)) {
        const gapMs = prng.below(2 * maxMs);
        memory.learn(gapMs, nowMs);
        if (gapMs <= maxMs) learned.push({ atMs: nowMs, gapMs });
      }
      const within = (ms: number): number => {
        const young = learned.filter(({ atMs }) => nowMs - atMs < ms);
        return young.reduce((longest, { gapMs }) => Math.max(longest, gapMs), 0);
      };
      const longestMs = memory.longestMs(nowMs);
      assert.ok(longestMs >= within(spanMs), `run ${run}, step ${step}`);
      assert.ok(longestMs <= within(2 * spanMs), `run ${run}, step ${step}`);
      assert.ok(longestMs <= maxMs, "an outage teaches nothing");
    }
  }
});

test("vsr: patience: within its bounds for any times, never less for a longer gap", () => {
  const prng = new Prng(6);
  for (let run = 0; run < 2000; run += 1) {
    const heartbeatMs = prng.between(5, 100);
    const suspectMs = heartbeatMs * prng.between(4, 20);
    const suspectMaxMs = suspectMs + prng.below(suspectMs + 1);
    const config = { heartbeatMs, suspectMs, suspectMaxMs, viewChangeMs: 2 * suspectMs };
    const timing = completeTiming({ ...config, gapMemoryMs: 10 * suspectMaxMs });
    assert.equal(timingProblem(timing), null, JSON.stringify(config));
    const [gapMs, chance] = [prng.below(3 * suspectMs), prng.fraction()];
    const waitMs = patienceMs(timing, gapMs, chance);
    assert.ok(waitMs >= suspectMs && waitMs < suspectMaxMs + 0.3 * suspectMs);
    assert.ok(patienceMs(timing, gapMs + prng.below(100), chance) >= waitMs);
    const calmMs = patienceMs(timing, prng.below(Math.ceil(suspectMs / 2)), chance);
    assert.equal(calmMs, suspectMs + 0.3 * suspectMs * chance, "short gaps change nothing");
  }
});

/** A backup of view 0 and its primary's beats. */
class Pulse {
  readonly bench = new Bench(1);
  beats = 0;

  constructor() {
    this.beat();
  }

  /** Time passes, timers fire as they are due. */
  pass(forMs: number): void {
    const { bench } = this;
    const untilMs = bench.nowMs + forMs;
    while (bench.replica.deadlineMs < untilMs) {
      bench.nowMs = Math.max(bench.nowMs, bench.replica.deadlineMs);
      bench.step({ kind: "timeout" });
      bench.settle();
    }
    bench.nowMs = untilMs;
  }

  beat(): void {
    const { bench } = this;
    bench.from(0, 0, {
      kind: "commit",
      commitMax: 0,
      commitChecksum: bench.disk.slot(0).prepare?.header.checksum,
      checkpoint: bench.disk.superblock.checkpoint,
      quorumCheckpointOp: 0,
      monotonicMs: bench.nowMs,
    });
  }

  beatsEvery(everyMs: number, forMs: number): void {
    for (const untilMs = this.bench.nowMs + forMs; this.bench.nowMs < untilMs; ) {
      this.pass(everyMs);
      this.beat();
    }
  }

  /** Silence after which the primary is suspected, ms. */
  patience(): number {
    const { bench } = this;
    const fromMs = bench.nowMs;
    bench.sent = [];
    while (bench.last("start_view_change") === undefined) this.pass(1);
    return bench.nowMs - fromMs;
  }
}

function within(ms: number, low: number, high: number): void {
  assert.ok(ms >= low && ms <= high, `${ms} ms`);
}

test("vsr: a regular primary is suspected after suspectMs, as ever (A4)", () => {
  const pulse = new Pulse();
  pulse.beatsEvery(20, 1000);
  within(pulse.patience(), 100, 131);
});

test("vsr: a primary that was slow of late has twice its longest gap, at most suspectMaxMs", () => {
  const pulse = new Pulse();
  pulse.beatsEvery(20, 500);
  pulse.beatsEvery(70, 70);
  pulse.beatsEvery(20, 500);
  within(pulse.patience(), 140, 171);
  // It was alive, after all: a gap that ended as a suspicion counts like any other.
  pulse.beat();
  pulse.beatsEvery(20, 500);
  within(pulse.patience(), 200, 231);
  assert.equal(pulse.bench.replica.view, 0);
});

test("vsr: what was learned of a primary's gaps is forgotten in time", () => {
  const pulse = new Pulse();
  pulse.beatsEvery(20, 500);
  pulse.beatsEvery(90, 90);
  pulse.beatsEvery(20, 20_000);
  within(pulse.patience(), 180, 211);
  pulse.beat();
  pulse.beatsEvery(20, 61_000);
  within(pulse.patience(), 100, 131);
});

test("vsr: a silence that no patience bridges is an outage and teaches nothing", () => {
  const pulse = new Pulse();
  pulse.beatsEvery(20, 500);
  pulse.pass(400);
  pulse.beat();
  pulse.beatsEvery(20, 500);
  within(pulse.patience(), 100, 131);
});

test("vsr: a refused connection is suspected at once, whatever was learned", () => {
  const pulse = new Pulse();
  pulse.beatsEvery(90, 900);
  pulse.bench.sent = [];
  pulse.bench.step({ kind: "peer_refused", replica: replicaFrom(0) });
  assert.equal(pulse.bench.last("start_view_change")?.kind, "start_view_change");
});

test("vsr: the own lateness is no gap of the primary, whoever is read first after it", () => {
  for (const timerFirst of [true, false]) {
    const pulse = new Pulse();
    pulse.beatsEvery(20, 500);
    const { bench } = pulse;
    bench.nowMs += 180;
    if (timerFirst) bench.step({ kind: "timeout" });
    pulse.beat();
    pulse.beatsEvery(20, 500);
    within(pulse.patience(), 100, 131);
  }
});

test("vsr: a former primary that comes back soon was slow: the next one has more time", () => {
  const pulse = new Pulse();
  const { bench } = pulse;
  pulse.beatsEvery(20, 500);
  pulse.pass(131);
  bench.from(2, 0, { kind: "start_view_change" });
  bench.settle();
  assert.equal(bench.replica.view, 1);
  pulse.pass(20);
  // It goes on where it was held up; this replica votes for itself meanwhile.
  pulse.beat();
  const head = bench.disk.slot(0).prepare?.header;
  bench.from(2, 2, {
    kind: "start_view",
    op: 0,
    commitMax: 0,
    checkpoint: bench.disk.superblock.checkpoint,
    quorumCheckpointOp: 0,
    headers: [head],
    nonce: 0,
  });
  bench.settle();
  assert.equal(bench.replica.view, 2);
  assert.equal(bench.replica.status, "normal");
  within(pulse.patience(), 200, 231);
});

test("vsr: a primary that woke late beats at once: what it was sent waits to be read", () => {
  const bench = new Bench(1);
  const { prepare } = leadViewOne(bench, true);
  bench.ok(2, 1, prepare);
  bench.sent = [];
  bench.nowMs += 150;
  bench.step({ kind: "timeout" });
  assert.equal(bench.last("commit")?.kind, "commit");
  // But one that runs and hears nobody may be cut off: it stops (A4).
  for (let ms = 0; ms < 200; ms += 5) {
    bench.nowMs += 5;
    bench.step({ kind: "timeout" });
  }
  bench.sent = [];
  for (let ms = 0; ms < 100; ms += 5) {
    bench.nowMs += 5;
    bench.step({ kind: "timeout" });
  }
  assert.equal(bench.last("commit"), undefined);
});

test("vsr: a primary that its backups let wait of late beats on for as long (A4)", () => {
  const bench = new Bench(1);
  const { prepare } = leadViewOne(bench, true);
  bench.ok(2, 1, prepare);
  const waits = (forMs: number): void => {
    for (let ms = 0; ms < forMs; ms += 5) {
      bench.nowMs += 5;
      bench.step({ kind: "timeout" });
    }
  };
  /** How long it beats on while nobody says anything, ms. */
  const beats = (): number => {
    const fromMs = bench.nowMs;
    for (let lastMs = fromMs; ; lastMs = bench.nowMs) {
      bench.sent = [];
      waits(25);
      if (bench.last("commit") === undefined) return lastMs - fromMs;
    }
  };
  const calmMs = beats();
  assert.ok(calmMs >= 80 && calmMs <= 125, `${calmMs} ms`);
  bench.ok(2, 1, prepare);
  const patientMs = beats();
  assert.ok(patientMs >= 175 && patientMs <= 225, `${patientMs} ms`);
});
