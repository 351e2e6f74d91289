// Goal: rules that need an exact order of messages, one replica at a time. Method: the real
// class, driven by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checksumFrom,
  incarnationFrom,
  opFrom,
  replicaFrom,
  viewFrom,
} from "#replica/base/brands.ts";
import type { ClientId } from "#replica/base/brands.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { Cluster } from "#test/support/bare-core/cluster.ts";
import type { SimDisk } from "#test/support/bare-core/disk.ts";
import { fakeHash, fakeSealer } from "#test/support/bare-core/fake-sealer.ts";
import { runOptions } from "#test/support/bare-core/run-options.ts";
import { ToyMachine, toyGenesis } from "#test/support/bare-core/toy-machine.ts";
import type { Effect } from "./effect.ts";
import type { Event } from "./event.ts";
import { Replica } from "./replica.ts";
import { headerOf } from "./testdata/headers.ts";

type Kind = PeerMessage["kind"];

/** One replica whose disk answers when told to, and whose peers are the test. */
class Bench {
  readonly replica: Replica;
  readonly disk: SimDisk;
  sent: PeerMessage[] = [];
  readonly sentTo: { readonly to: number; readonly message: PeerMessage }[] = [];
  readonly alarms: string[] = [];
  others: Effect[] = [];
  nowMs = 0;

  constructor(index: number, disk?: SimDisk) {
    const cluster = new Cluster(1, runOptions(1), null);
    this.disk = disk ?? cluster.machine(index).disk;
    if (disk === undefined) {
      const { superblock } = this.disk;
      const first = { sequence: 1, nonce: 9, logView: viewFrom(0), op: opFrom(0) };
      const standing = { ...superblock.standing, lives: [first] };
      this.disk.superblock = { ...superblock, standing };
    }
    this.replica = new Replica({
      replica: replicaFrom(index),
      recovered: this.disk.recover(),
      machine: new ToyMachine(toyGenesis),
      sealer: fakeSealer,
      seed: 1,
      timing: { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 },
      quorum: { replication: 2, viewChange: 2 },
      batch: { lingerMs: 0 },
      sessions: new Uint8Array(0),
    });
    this.step({ kind: "timeout" });
    if (disk !== undefined) return;
    this.settle();
    for (const peer of [0, 1, 2]) if (peer !== index) this.from(peer, 0, this.vouching());
    this.sent = [];
  }

  /** A peer's ping, which vouches for the volume as it was opened last. */
  vouching(verdict: "sound" | "rolled_back" = "sound") {
    const { identity, standing, checkpoint } = this.disk.superblock;
    const life = standing.lives.at(-1);
    const peers = { sequence: 3, nonce: 1, logView: viewFrom(0), op: opFrom(0) };
    return {
      kind: "pong" as const,
      monotonicMs: 0,
      wallClockUs: 0,
      formationId: identity.formationId,
      machineVersionMax: 1,
      commitMin: opFrom(0),
      lives: [peers],
      mark: { sequence: 3, logView: viewFrom(0), op: opFrom(0) },
      yours: { life: life?.sequence ?? 0, nonce: life?.nonce ?? 0, verdict },
      replaced: [] as readonly unknown[],
      status: "normal",
      learner: false,
      voteFloor: viewFrom(0),
      checkpointOp: checkpoint.op,
      checkpointId: checkpoint.id,
    };
  }

  step(event: Event): void {
    this.replica.step(event, this.nowMs, this.nowMs * 1000);
    for (const effect of this.replica.drain()) {
      if (effect.kind === "send") {
        this.sent.push(effect.message);
        this.sentTo.push(effect);
      } else if (effect.kind === "alarm") this.alarms.push(effect.what);
      else this.others.push(effect);
    }
  }

  /** Lets every write that was begun end; prepares only when `prepares`. */
  settle(prepares = true): void {
    for (let effect = this.others.shift(); effect !== undefined; effect = this.others.shift()) {
      if (effect.kind === "write_superblock") {
        this.disk.superblock = effect.state;
        this.step({ kind: "superblock_durable", sequence: effect.state.sequence });
      } else if (effect.kind === "write_prepare" && prepares) {
        const { op, checksum } = effect.prepare.header;
        this.disk.beginWrite(effect.prepare);
        this.disk.finishWrite(effect.prepare);
        this.step({ kind: "prepare_durable", op, checksum });
      }
    }
  }

  from(peer: number, view: number, body: Record<string, unknown> & { kind: Kind }): void {
    const incarnation = `${peer + 1}`.repeat(32);
    const envelope = { from: replicaFrom(peer), incarnation, view: viewFrom(view) };
    this.step({ kind: "message", message: { ...envelope, ...body } as unknown as PeerMessage });
  }

  register(client: string): void {
    const body = new Uint8Array(0);
    const header = {
      session: opFrom(0),
      requestNumber: 0,
      requestChecksum: fakeHash(body),
      clientId: client.repeat(32) as ClientId,
      operationsCount: 0,
    };
    this.step({ kind: "request", request: { header, body }, viewKnown: 0 });
  }

  last(kind: Kind): PeerMessage | undefined {
    return this.sent.findLast((message) => message.kind === kind);
  }

  prepare(): Prepare {
    const message = this.last("prepare");
    assert.ok(message?.kind === "prepare");
    return message.prepare;
  }

  ok(peer: number, view: number, prepare: Prepare): void {
    const { op, checksum } = prepare.header;
    const zero = opFrom(0);
    this.from(peer, view, {
      kind: "prepare_ok",
      op,
      checksum,
      commitMin: zero,
      checkpointOp: zero,
    });
  }
}

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

function leadViewOne(bench: Bench, durable: boolean): { prepare: Prepare } {
  bench.from(0, 0, { kind: "start_view_change" });
  bench.step({ kind: "peer_refused", replica: replicaFrom(0) });
  bench.settle();
  const head = bench.disk.slot(0).prepare?.header;
  bench.from(2, 1, {
    kind: "do_view_change",
    logView: 0,
    op: 0,
    commitMin: 0,
    commitMax: 0,
    checkpoint: bench.disk.superblock.checkpoint,
    quorumCheckpointOp: 0,
    headers: [head],
    present: [true],
    nack: [false],
  });
  bench.settle();
  bench.register("b");
  bench.settle(durable);
  return { prepare: bench.prepare() };
}

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
