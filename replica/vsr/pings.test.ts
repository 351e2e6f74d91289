// Goal: signs of life are as rare as the rules of base/timing.ts allow, and never rarer.
// Method: the real class, its timers fired when they are due, peers played by the test.
import assert from "node:assert/strict";
import { test } from "node:test";
import { opFrom, replicaFrom, viewFrom } from "#replica/base/brands.ts";
import {
  commitHeartbeats,
  heartbeatsPerSuspicion,
  lifeHeartbeats,
  pingHeartbeats,
  tellHeartbeats,
} from "#replica/base/timing.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import { Bench, leadViewOne } from "#test/support/bare-core/bench.ts";
import { fakeHash } from "#test/support/bare-core/fake-sealer.ts";

const heartbeatMs = 20;

/** One message that left, and when. */
interface Sent {
  readonly atMs: number;
  readonly to: number;
  readonly message: PeerMessage;
}

/** Lets time pass; `each` plays the peers once a millisecond. */
function pass(bench: Bench, forMs: number, each: (nowMs: number) => void): Sent[] {
  const sent: Sent[] = [];
  const untilMs = bench.nowMs + forMs;
  while (bench.nowMs < untilMs) {
    const before = bench.sentTo.length;
    bench.nowMs += 1;
    each(bench.nowMs);
    if (bench.replica.deadlineMs <= bench.nowMs) bench.step({ kind: "timeout" });
    bench.settle();
    for (const { to, message } of bench.sentTo.slice(before)) {
      sent.push({ atMs: bench.nowMs, to, message });
    }
  }
  return sent;
}

function gapMax(sent: readonly Sent[], fromMs: number, untilMs: number): number {
  const times = [fromMs, ...sent.map(({ atMs }) => atMs), untilMs];
  return Math.max(...times.slice(1).map((ms, i) => ms - (times[i] ?? 0)));
}

function beat(bench: Bench, nowMs: number): void {
  if (nowMs % heartbeatMs !== 0) return;
  bench.from(0, 0, {
    kind: "commit",
    commitMax: 0,
    commitChecksum: bench.disk.slot(0).prepare?.header.checksum,
    checkpoint: bench.disk.superblock.checkpoint,
    quorumCheckpointOp: 0,
    monotonicMs: nowMs,
  });
}

/** Peers answer what asks, with a wall clock like this one's. */
function answering(bench: Bench, sentBefore: { count: number }): void {
  for (const { to, message } of bench.sentTo.slice(sentBefore.count)) {
    if (message.kind !== "ping" || message.monotonicMs === 0) continue;
    const { monotonicMs } = message;
    const pong = { ...bench.vouching(), monotonicMs, wallClockUs: bench.nowMs * 1000 };
    bench.from(to, Number(bench.replica.view), pong);
  }
  sentBefore.count = bench.sentTo.length;
}

test("vsr: signs of life: the rules of rule A4 fit each other", () => {
  // The primary misses none for a suspicion, though an ack may be dropped for a heartbeat.
  assert.ok(lifeHeartbeats + 1 < heartbeatsPerSuspicion);
  assert.ok(commitHeartbeats <= heartbeatsPerSuspicion);
  assert.ok(lifeHeartbeats < pingHeartbeats && pingHeartbeats < tellHeartbeats);
});

test("vsr: an idle backup acks every two heartbeats, and asks for a pong every 25", () => {
  const bench = new Bench(1);
  const known = { count: bench.sentTo.length };
  const play = (nowMs: number): void => {
    beat(bench, nowMs);
    answering(bench, known);
  };
  pass(bench, 1000, play);
  const [fromMs, forMs] = [bench.nowMs, 10_000];
  const sent = pass(bench, forMs, play);
  const untilMs = fromMs + forMs;
  const toPrimary = sent.filter(({ to }) => to === 0);
  const toOther = sent.filter(({ to }) => to === 2);
  assert.ok(gapMax(toPrimary, fromMs, untilMs) <= lifeHeartbeats * heartbeatMs + 2);
  assert.ok(gapMax(toOther, fromMs, untilMs) <= pingHeartbeats * heartbeatMs + 2);
  const asks = sent.filter(({ message: m }) => m.kind === "ping" && m.monotonicMs > 0);
  for (const peer of [0, 2]) {
    const asked = asks.filter(({ to }) => to === peer);
    assert.ok(
      gapMax(asked, fromMs, untilMs) <= (tellHeartbeats + lifeHeartbeats) * heartbeatMs + 2,
    );
    assert.ok(asked.length <= 1 + forMs / (tellHeartbeats * heartbeatMs), `${asked.length} asks`);
  }
  const perSecond = sent.length / (forMs / 1000);
  assert.ok(perSecond < 45, `${perSecond} frames a second`);
  assert.equal(bench.replica.view, 0);
});

test("vsr: a ping that only tells is answered by nobody", () => {
  const bench = new Bench(1);
  bench.from(2, 0, { ...bench.vouching(), kind: "ping", monotonicMs: 0 });
  assert.equal(bench.last("pong"), undefined);
  bench.from(2, 0, { ...bench.vouching(), kind: "ping", monotonicMs: 5 });
  assert.equal(bench.last("pong")?.kind, "pong");
});

test("vsr: what is new in a replica is told within five heartbeats", () => {
  const bench = new Bench(1);
  const known = { count: bench.sentTo.length };
  const play = (nowMs: number): void => {
    beat(bench, nowMs);
    answering(bench, known);
  };
  pass(bench, 1000, play);
  // The other backup's volume was opened again: the judgement on it is what it waits for.
  const again = { sequence: 9, nonce: 77, logView: viewFrom(0), op: opFrom(0) };
  const { lives } = bench.vouching();
  const mark = { sequence: 9, logView: viewFrom(0), op: opFrom(0) };
  const told = { ...bench.vouching(), kind: "ping" as const, monotonicMs: 0, mark };
  bench.from(2, 0, { ...told, lives: [...lives, again] });
  const sent = pass(bench, (pingHeartbeats + lifeHeartbeats) * heartbeatMs, play);
  const news = sent.find(({ to, message }) => {
    return to === 2 && message.kind === "ping" && message.yours.nonce === 77;
  });
  assert.ok(news !== undefined);
});

/** A primary of view 1 that has committed its first op, and its peers' clocks. */
function primary(): { bench: Bench; ops: number } {
  const bench = new Bench(1);
  const { prepare } = leadViewOne(bench, true);
  bench.ok(2, 1, prepare);
  assert.equal(bench.replica.commitMax, 1);
  return { bench, ops: 1 };
}

/** Both peers ack what came, and answer pings. */
function acking(bench: Bench, known: { count: number }): void {
  for (const { to, message } of bench.sentTo.slice(known.count)) {
    if (message.kind === "prepare") bench.ok(to, 1, message.prepare);
  }
  answering(bench, known);
}

test("vsr: prepares stand in for heartbeats; what they do not say is told every four", () => {
  const { bench } = primary();
  const known = { count: bench.sentTo.length };
  const idle = (nowMs: number): void => {
    acking(bench, known);
    if (nowMs % 40 === 0) for (const peer of [0, 2]) bench.from(peer, 1, silentAck(bench));
  };
  pass(bench, 200, idle);
  const commits = (sent: readonly Sent[]): readonly Sent[] => {
    return sent.filter(({ to, message }) => to === 0 && message.kind === "commit");
  };
  const quiet = commits(pass(bench, 1000, idle));
  assert.ok(quiet.length >= 49, `${quiet.length} heartbeats a second of an idle primary`);
  const fromMs = bench.nowMs;
  const busy = pass(bench, 400, (nowMs) => {
    idle(nowMs);
    if (nowMs % 15 === 0) bench.step({ kind: "pulse" });
  });
  const prepares = busy.filter(({ to, message }) => to === 0 && message.kind === "prepare");
  assert.ok(prepares.length > 20, `${prepares.length} prepares`);
  const beats = commits(busy);
  assert.ok(beats.length <= 6, `${beats.length} heartbeats of a busy primary in 400 ms`);
  assert.ok(gapMax(beats, fromMs, bench.nowMs) <= commitHeartbeats * heartbeatMs + 2);
  // After the last prepare the backups learn of its commit within a heartbeat.
  const last = prepares.at(-1)?.atMs ?? 0;
  const { commitMax } = bench.replica;
  const after = pass(bench, heartbeatMs + 2, idle);
  const told = commits([...busy, ...after]).find(({ message }) => {
    return message.kind === "commit" && message.commitMax === commitMax;
  });
  assert.ok(told !== undefined && told.atMs <= last + heartbeatMs + 1, "the last commit is told");
});

function silentAck(bench: Bench): Record<string, unknown> & { kind: "prepare_ok" } {
  const zero = opFrom(0);
  const { head } = bench.replica;
  return {
    kind: "prepare_ok",
    op: head,
    checksum: fakeHash(""),
    commitMin: zero,
    checkpointOp: zero,
  };
}

test("vsr: of acks that change nothing one a heartbeat is wanted: a sign of life", () => {
  const { bench } = primary();
  const envelope = { from: replicaFrom(0), incarnation: "1".repeat(32), view: viewFrom(1) };
  const stale = { ...envelope, ...silentAck(bench) } as unknown as Parameters<
    typeof bench.replica.wantsAck
  >[0];
  bench.nowMs += 100;
  bench.step({ kind: "timeout" });
  assert.equal(bench.replica.wantsAck(stale), true, "not heard for long");
  bench.from(0, 1, silentAck(bench));
  assert.equal(bench.replica.wantsAck(stale), false);
  bench.nowMs += heartbeatMs - 1;
  bench.step({ kind: "timeout" });
  assert.equal(bench.replica.wantsAck(stale), false);
  assert.equal(bench.replica.wantsAck({ ...stale, op: opFrom(2) }), true, "it commits the next op");
  assert.equal(bench.replica.wantsAck({ ...stale, view: viewFrom(2) }), true, "of a newer view");
  bench.nowMs += 1;
  bench.step({ kind: "timeout" });
  assert.equal(bench.replica.wantsAck(stale), true);
});
