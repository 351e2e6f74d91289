// Goal: rules of repair and of views that need an exact order of messages, among them bugs of other
// systems. Method: the real class, driven by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { incarnationFrom, opFrom, replicaFrom } from "#replica/base/brands.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import { Bench, leadViewOne } from "#test/support/bare-core/bench.ts";
import { headerOf } from "./testdata/headers.ts";

test("vsr: what a dropped end of the log overwrote in the rings is fetched as a state (A7)", () => {
  const bench = new Bench(2);
  const incarnation = incarnationFrom("1".repeat(32));
  const header = { ...headerOf(40, 0), incarnation, quorumCheckpointOp: opFrom(24) };
  // Slots are 32: op 40 stands where op 8 stood, also after view 1 drops it.
  bench.from(0, 0, { kind: "prepare", prepare: { header, body: new Uint8Array(0) } });
  assert.equal(bench.replica.head, 40);
  bench.from(0, 0, { kind: "start_view_change" });
  const checkpoint = { ...bench.disk.superblock.checkpoint, op: opFrom(24) };
  bench.from(1, 1, {
    kind: "start_view",
    op: 32,
    commitMax: 32,
    checkpoint,
    quorumCheckpointOp: 24,
    headers: [headerOf(32, 0)],
    nonce: 0,
  });
  bench.settle();
  assert.equal(bench.replica.head, 32);
  bench.others = [];
  bench.nowMs = 60;
  bench.step({ kind: "timeout" });
  const sync = bench.others.find((effect) => effect.kind === "sync");
  assert.equal(sync?.target.op, 24);
});

/** Hears the primary of view 1 for some time; `answer` may give what is asked for. */
function listen(bench: Bench, forMs: number, answer: (message: PeerMessage) => void): void {
  const { checkpoint } = bench.disk.superblock;
  const offered = { ...checkpoint, op: opFrom(24) };
  const untilMs = bench.nowMs + forMs;
  while (bench.nowMs < untilMs) {
    bench.nowMs += 5;
    bench.sent = [];
    const commitChecksum = headerOf(32, 0).checksum;
    const told = { commitMax: opFrom(32), commitChecksum, checkpoint: offered };
    const body = { ...told, quorumCheckpointOp: opFrom(24), monotonicMs: bench.nowMs };
    bench.from(1, 1, { kind: "commit", ...body });
    bench.step({ kind: "timeout" });
    for (const message of [...bench.sent]) answer(message);
  }
}

/** A backup at op 0 in a view whose log ends at op 32: its ring of 32 slots just reaches back. */
function farBehind(): Bench {
  const bench = new Bench(2);
  bench.from(1, 1, {
    kind: "start_view",
    op: 32,
    commitMax: 32,
    checkpoint: { ...bench.disk.superblock.checkpoint, op: opFrom(24) },
    quorumCheckpointOp: 24,
    headers: [headerOf(32, 0)],
    nonce: 0,
  });
  bench.settle();
  bench.others = [];
  return bench;
}

test("vsr: away while a dropped end overwrote the next op: syncs in a quiet shard too (A7)", () => {
  const bench = farBehind();
  const syncs = () => bench.others.filter((effect) => effect.kind === "sync");
  // Peers are there and hold nothing of what is asked: op 33 of a dropped log took op 1's place.
  listen(bench, 400, () => undefined);
  assert.equal(syncs().length, 0);
  listen(bench, 3_000, () => undefined);
  assert.equal(syncs()[0]?.target.op, 24);
});

test("vsr: a slow repair that goes on is never given up for a state sync", () => {
  const bench = farBehind();
  let below = 32;
  let givenMs = 0;
  listen(bench, 5_000, (message) => {
    // One header of the chain at a time, four each second.
    if (message.kind !== "get_headers" || bench.nowMs < givenMs + 250) return;
    givenMs = bench.nowMs;
    below -= 1;
    bench.from(1, 1, { kind: "headers", headers: [headerOf(below, 0)] });
  });
  assert.ok(below < 20, String(below));
  assert.equal(bench.others.filter((effect) => effect.kind === "sync").length, 0);
});

test("vsr: repair asks both peers and at changing intervals (TigerBeetle #2437, #3618)", () => {
  const bench = farBehind();
  const asked: number[] = [];
  listen(bench, 1_900, (message) => {
    if (message.kind === "get_headers") asked.push(bench.nowMs);
  });
  const peers = bench.sentTo.filter(({ message }) => message.kind === "get_headers");
  const [one, other] = [0, 1].map((to) => peers.filter((each) => each.to === to).length);
  assert.ok((one ?? 0) > 20 && (other ?? 0) > 20, `${one} and ${other}`);
  const gaps = asked.slice(1).map((ms, i) => ms - (asked[i] ?? 0));
  assert.ok(new Set(gaps).size >= 4, [...new Set(gaps)].join());
});

test("vsr: a view that is only heard of truncates nothing (VRR state transfer, Vanlightly)", () => {
  const bench = new Bench(2);
  const parent = bench.disk.superblock.viewHeaders[0]?.checksum;
  assert.ok(parent !== undefined);
  const header = { ...headerOf(1, 0), incarnation: incarnationFrom("1".repeat(32)), parent };
  bench.from(0, 0, { kind: "prepare", prepare: { header, body: new Uint8Array(0) } });
  bench.settle();
  assert.equal(bench.last("prepare_ok")?.kind, "prepare_ok");
  const { checkpoint } = bench.disk.superblock;
  const told = { commitMax: 0, commitChecksum: parent, checkpoint, quorumCheckpointOp: 0 };
  bench.from(1, 1, { kind: "commit", ...told, monotonicMs: 1 });
  assert.equal(bench.last("get_view")?.kind, "get_view");
  bench.settle();
  assert.equal(bench.replica.head, 1, "the acked op stays until there is a log to replace it");
  bench.from(1, 1, { kind: "start_view_change" });
  bench.settle();
  const vote = bench.last("do_view_change");
  assert.ok(vote?.kind === "do_view_change");
  assert.deepEqual([vote.op, vote.present[0], vote.nack[0]], [1, true, false]);
});

test("vsr: no prepare leaves before its log_view is durable (TigerBeetle #2253)", () => {
  const bench = new Bench(1);
  bench.from(0, 0, { kind: "start_view_change" });
  bench.step({ kind: "peer_refused", replica: replicaFrom(0) });
  bench.settle();
  bench.from(2, 1, emptyVote(bench, 0));
  // The log is chosen, view and log_view are on their way to the disk.
  bench.register("b");
  assert.equal(bench.last("start_view"), undefined);
  assert.equal(bench.last("prepare"), undefined);
  bench.settle();
  assert.equal(bench.disk.superblock.logView, 1);
  assert.equal(bench.last("start_view")?.view, 1);
  bench.register("b");
  assert.equal(bench.last("prepare")?.view, 1);
});

/** The vote of a replica whose log is the root alone. */
function emptyVote(bench: Bench, logView: number) {
  return {
    kind: "do_view_change" as const,
    logView,
    op: 0,
    commitMin: 0,
    commitMax: 0,
    checkpoint: bench.disk.superblock.checkpoint,
    quorumCheckpointOp: 0,
    headers: [bench.disk.slot(0).prepare?.header],
    present: [true],
    nack: [false],
  };
}

test("vsr: a request that a view change drops may come again (VRR client table)", () => {
  const bench = new Bench(1);
  const { prepare } = leadViewOne(bench, true);
  bench.sent = [];
  bench.register("b");
  assert.equal(bench.last("prepare"), undefined, "once in flight is enough");
  // View 2 begins without it.
  bench.from(2, 2, {
    kind: "start_view",
    op: 0,
    commitMax: 0,
    checkpoint: bench.disk.superblock.checkpoint,
    quorumCheckpointOp: 0,
    headers: [bench.disk.slot(0).prepare?.header],
    nonce: 0,
  });
  bench.settle();
  assert.equal(bench.replica.head, 0);
  bench.from(0, 4, { kind: "start_view_change" });
  bench.settle();
  bench.from(0, 4, emptyVote(bench, 2));
  bench.settle();
  assert.equal(bench.replica.status, "normal");
  bench.register("b");
  const again = bench.prepare();
  assert.deepEqual([again.header.op, again.header.view], [prepare.header.op, 4]);
});

/** A backup that has followed several views, and the time until it leaves one that never starts. */
function patienceAfterViews(committed: boolean): number {
  const bench = new Bench(2);
  const root = bench.disk.slot(0).prepare?.header;
  const { checkpoint } = bench.disk.superblock;
  // Views of the two others, each heard of by a suspicion and then by its log.
  for (const view of [1, 3, 4, 6, 7, 9]) {
    bench.from(0, view, { kind: "start_view_change" });
    bench.settle();
    const log = { op: 0, commitMax: 0, checkpoint, quorumCheckpointOp: 0, headers: [root] };
    bench.from(view % 3, view, { kind: "start_view", ...log, nonce: 0 });
    bench.settle();
  }
  const told = { commitMax: committed ? 1 : 0, commitChecksum: root?.checksum, checkpoint };
  bench.from(0, 9, { kind: "commit", ...told, quorumCheckpointOp: 0, monotonicMs: 1 });
  bench.from(0, 10, { kind: "start_view_change" });
  bench.settle();
  bench.sent = [];
  const fromMs = bench.nowMs;
  for (let i = 0; i < 2_000 && bench.last("start_view_change") === undefined; i += 1) {
    bench.nowMs += 5;
    bench.step({ kind: "timeout" });
  }
  return bench.nowMs - fromMs;
}

test("vsr: a commit ends the backoff of view changes, at a backup too (A4)", () => {
  const eager = patienceAfterViews(true);
  const slow = patienceAfterViews(false);
  assert.ok(eager <= 150 * 1.3 + 5, String(eager));
  assert.ok(slow >= 150 * 16, String(slow));
});

test("vsr: what was under way when its sender was found gone is no sign of life (A4)", () => {
  for (const laterMs of [1, 25]) {
    const bench = new Bench(1);
    bench.step({ kind: "peer_refused", replica: replicaFrom(0) });
    bench.nowMs += laterMs;
    const { checkpoint } = bench.disk.superblock;
    const commitChecksum = bench.disk.slot(0).prepare?.header.checksum;
    const told = { commitMax: opFrom(0), commitChecksum, checkpoint };
    bench.from(0, 0, { kind: "commit", ...told, quorumCheckpointOp: 0, monotonicMs: 1 });
    bench.from(2, 0, { kind: "start_view_change" });
    // A heartbeat that left after that says that the primary lives after all.
    assert.equal(bench.replica.status, laterMs < 20 ? "view_change" : "normal");
  }
});

test("vsr: a new primary asks a voter for what it lacks once its log is durable (A6)", () => {
  const bench = new Bench(1);
  const asked = () => bench.sentTo.filter(({ message }) => message.kind === "get_prepare");
  bench.nowMs = 10;
  bench.step({ kind: "peer_refused", replica: replicaFrom(0) });
  bench.from(2, 0, { kind: "start_view_change" });
  bench.settle();
  const root = bench.disk.slot(0).prepare?.header;
  assert.ok(root !== undefined);
  const lacking = { ...headerOf(1, 0), parent: root.checksum };
  const ops = { op: 1, commitMin: 0, commitMax: 0, quorumCheckpointOp: 0 };
  const bits = { present: [true, true], nack: [false, false] };
  const { checkpoint } = bench.disk.superblock;
  const vote = { logView: 0, checkpoint, headers: [lacking, root], ...ops, ...bits };
  bench.from(2, 1, { kind: "do_view_change", ...vote });
  assert.equal(asked().length, 0, "nothing is asked for in a view that is not durable");
  bench.settle();
  bench.step({ kind: "timeout" });
  assert.deepEqual(
    asked().map(({ to }) => to),
    [2],
  );
  // It asks no faster when no answer comes.
  bench.nowMs += 9;
  bench.step({ kind: "timeout" });
  assert.equal(asked().length, 1);
});

test("vsr: a slot of before the checkpoint that the open found decayed is fetched (A6)", () => {
  const { disk } = new Bench(1);
  const root = disk.slot(0).prepare?.header;
  assert.ok(root !== undefined);
  const incarnation = incarnationFrom("1".repeat(32));
  for (const op of [1, 2, 3]) {
    const parent = op === 1 ? root.checksum : headerOf(op - 1, 0).checksum;
    const header = { ...headerOf(op, 0), incarnation, parent };
    const prepare = { header, body: new Uint8Array(0) };
    disk.beginWrite(prepare);
    disk.finishWrite(prepare);
    disk.finishIdentifier(prepare);
  }
  const two = { op: opFrom(2), opChecksum: headerOf(2, 0).checksum };
  const checkpoint = { ...disk.superblock.checkpoint, ...two };
  disk.superblock = { ...disk.superblock, checkpoint, commitMax: opFrom(2) };
  assert.ok(disk.rot(1, false));
  const bench = new Bench(1, disk);
  bench.settle();
  assert.equal(bench.replica.status, "normal", "what stood one wrap above was never acked");
  bench.nowMs = 30;
  bench.step({ kind: "timeout" });
  const asked = bench.sent.find((message) => message.kind === "get_prepare");
  assert.ok(asked?.kind === "get_prepare" && asked.op === 1);
});
