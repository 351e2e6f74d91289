// Goal: rules that need an exact order of messages, one replica at a time. Method: the real
// class, driven by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checksumFrom, opFrom, replicaFrom, viewFrom } from "#replica/base/brands.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import { Cluster } from "#test/support/bare-core/cluster.ts";
import { fakeHash } from "#test/support/bare-core/fake-sealer.ts";
import { runOptions } from "#test/support/bare-core/run-options.ts";
import { Bench, leadViewOne } from "#test/support/bare-core/bench.ts";

test("vsr: a volume that was replaced learns it from a peer, though nobody hears it", () => {
  const bench = new Bench(1);
  assert.equal(bench.replica.status, "normal");
  const incarnation = "b".repeat(32);
  const other = { replica: 1, incarnation, publicKey: "c".repeat(64), replaceOp: opFrom(40) };
  bench.from(0, 0, { ...bench.vouching(), replaced: [other] });
  bench.settle();
  assert.equal(bench.replica.status, "lost");
  assert.ok(bench.alarms.some((what) => what.includes("was replaced by another one")));
  assert.equal(bench.disk.superblock.standing.lost, true);
});

test("vsr: a replica that missed a replacement learns of the new member from a ping", () => {
  const bench = new Bench(1);
  const incarnation = "b".repeat(32);
  const other = { replica: 2, incarnation, publicKey: "c".repeat(64), replaceOp: opFrom(40) };
  bench.from(0, 0, { ...bench.vouching(), replaced: [other] });
  assert.equal(bench.replica.members[2]?.incarnation, incarnation);
  bench.sent = [];
  bench.from(2, 5, { ...bench.vouching(), incarnation });
  assert.ok(bench.sent.length > 0);
});

test("vsr: an ack of an older view never counts, though op and checksum fit (A3.5)", () => {
  const first = new Bench(1);
  const { prepare } = leadViewOne(first, true);
  first.ok(2, 0, prepare);
  assert.equal(first.replica.commitMax, 0);
  first.ok(2, 1, { ...prepare, header: { ...prepare.header, checksum: fakeHash("other") } });
  assert.equal(first.replica.commitMax, 0);
  first.ok(2, 1, prepare);
  assert.equal(first.replica.commitMax, 1);
});

test("vsr: a primary's own ack counts only when its write is durable (A5a 12)", () => {
  const bench = new Bench(1);
  const { prepare } = leadViewOne(bench, false);
  bench.ok(2, 1, prepare);
  assert.equal(bench.replica.commitMax, 0);
  bench.ok(0, 1, prepare);
  assert.equal(bench.replica.commitMax, 1, "two backups are a quorum without the primary");
});

test("vsr: no vote leaves before view and headers are durable (TigerBeetle #2253)", () => {
  const bench = new Bench(1);
  bench.from(0, 0, { kind: "start_view_change" });
  bench.step({ kind: "peer_refused", replica: replicaFrom(0) });
  assert.equal(bench.last("do_view_change"), undefined);
  assert.equal(bench.replica.view, 0, "a view that is not durable is told to no one");
  bench.register("c");
  const rejected = bench.others.find((effect) => effect.kind === "reject");
  assert.ok(
    rejected?.kind === "reject" && rejected.view === 0 && rejected.reason === "not_primary",
  );
  bench.settle();
  assert.equal(bench.last("do_view_change")?.view, 1);
});

test("vsr: a former primary enters the next view, it never resumes", () => {
  const former = new Bench(0);
  former.settle();
  assert.equal(former.replica.view, 1);
  assert.equal(former.replica.status, "view_change");
});

test("vsr: nobody votes before three replicas report the same formation id (A11)", () => {
  const cluster = new Cluster(1, runOptions(1), null);
  const bench = new Bench(1, cluster.machine(1).disk);
  assert.equal(bench.replica.voting, false);
  const waits = { ...bench.vouching(), lives: [] };
  bench.from(0, 0, waits);
  bench.settle();
  assert.equal(bench.disk.superblock.standing.lives.length, 0);
  bench.from(2, 0, { ...bench.vouching(), formationId: checksumFrom("e".repeat(64)) });
  bench.settle();
  assert.equal(bench.disk.superblock.standing.lives.length, 0);
  bench.from(2, 0, waits);
  bench.settle();
  assert.equal(bench.disk.superblock.sequence, 2);
  assert.equal(bench.disk.superblock.standing.lives.length, 1, "the formation is recorded");
  assert.equal(bench.replica.voting, false, "nobody has vouched for this volume yet");
  bench.from(2, 0, bench.vouching());
  assert.equal(bench.replica.voting, true);
});

test("vsr: a peer that formed is on record for all three (A11)", () => {
  const cluster = new Cluster(1, runOptions(1), null);
  const bench = new Bench(1, cluster.machine(1).disk);
  const formed = bench.vouching();
  bench.from(2, 0, { ...formed, formationId: checksumFrom("e".repeat(64)) });
  bench.settle();
  assert.equal(bench.disk.superblock.standing.lives.length, 0, "of another formation");
  bench.from(2, 0, formed);
  bench.settle();
  assert.equal(bench.disk.superblock.standing.lives.length, 1);
  assert.equal(bench.replica.voting, false, "nobody has vouched for this volume yet");
});

test("vsr: a vote goes only to a peer that vouches for the volume (A11)", () => {
  const bench = new Bench(1);
  const { disk } = bench;
  const again = new Bench(1, disk);
  again.settle();
  again.from(2, 0, again.vouching());
  again.from(0, 0, { kind: "start_view_change" });
  again.step({ kind: "peer_refused", replica: replicaFrom(0) });
  again.settle();
  const votes = again.sentTo.filter(({ message }) => message.kind === "do_view_change");
  assert.ok(votes.length > 0);
  assert.ok(votes.every(({ to }) => to === 2));
});

test("vsr: a volume that a peer knows to be older than it was never votes again (A11)", () => {
  const { disk } = new Bench(1);
  const bench = new Bench(1, disk);
  bench.settle();
  bench.from(0, 0, bench.vouching());
  assert.equal(bench.replica.voting, true);
  bench.from(2, 0, bench.vouching("rolled_back"));
  bench.settle();
  assert.equal(bench.replica.voting, false);
  assert.equal(bench.replica.status, "lost");
  assert.ok(bench.alarms.some((what) => what.includes("rolled back")));
  const again = new Bench(1, disk);
  again.settle();
  again.from(0, 0, again.vouching());
  again.from(2, 0, again.vouching());
  assert.equal(again.replica.status, "lost", "a restart does not make it sound");
});

test("vsr: frames of another incarnation are dropped", () => {
  const bench = new Bench(1);
  bench.step({
    kind: "message",
    message: {
      from: replicaFrom(0),
      incarnation: "9".repeat(32),
      view: viewFrom(7),
      kind: "start_view_change",
    } as PeerMessage,
  });
  bench.settle();
  assert.equal(bench.replica.view, 0);
});

test("vsr: a late copy of START_VIEW truncates nothing (A5a 1)", () => {
  const bench = new Bench(2);
  bench.from(0, 0, { kind: "start_view_change" });
  const head = bench.disk.slot(0).prepare?.header;
  const startView = {
    kind: "start_view" as const,
    op: 0,
    commitMax: 0,
    checkpoint: bench.disk.superblock.checkpoint,
    quorumCheckpointOp: 0,
    headers: [head],
    nonce: 0,
  };
  bench.from(1, 1, startView);
  bench.settle();
  const primary = new Bench(1);
  const { prepare } = leadViewOne(primary, true);
  bench.from(1, 1, { kind: "prepare", prepare });
  bench.settle();
  assert.equal(bench.replica.head, 1);
  assert.equal(bench.last("prepare_ok")?.kind, "prepare_ok");
  bench.from(1, 1, startView);
  bench.settle();
  assert.equal(bench.replica.head, 1);
});
