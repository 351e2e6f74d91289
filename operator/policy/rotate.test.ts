// Goal: another key of a replica is asked for once, is begun only beside two that are well, and is
// finished wherever the operator died. Method: a small model of a replica's two keys and of the
// claims, in which the operator dies between any two of its writes; random observations.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { validateRoomShard } from "#operator/api/validate.ts";
import { genesisStep } from "./genesis.ts";
import type { GenesisRecord, KeyRotation, ObservedMember, ObservedShard } from "./observed.ts";
import { isHealthy } from "./quorum.ts";
import {
  keysOf,
  rotateFinding,
  type RotateStep,
  rotateStep,
  withoutFormer,
  withoutRotation,
  withRotation,
  withVoter,
} from "./rotate.ts";

const cluster = "0f".repeat(16);
const keyOf = (replica: number, turn: number): string => `${turn}${replica}`.repeat(32);

interface Facts {
  readonly publicKey?: string;
  readonly nextKey?: string | undefined;
  readonly voting?: boolean;
  readonly ready?: boolean;
  readonly state?: string;
  readonly templateHash?: string;
  readonly certification?: ObservedMember["certification"];
  readonly genesis?: GenesisRecord;
}

function memberOf(replica: number, facts: Facts = {}): ObservedMember {
  const { publicKey = keyOf(replica, 1), nextKey, voting = true, state = "normal" } = facts;
  const { ready = true, templateHash = "new", certification = "valid" } = facts;
  return {
    replica,
    certification,
    claim: { uid: `claim-${replica}`, genesis: facts.genesis ?? null },
    pod: {
      ...{ name: `lobby-${replica}`, uid: `uid-${replica}`, ip: "", node: "", createdMs: 0 },
      ...{ ready, running: true, terminating: false, templateHash },
      ...{ stuckReason: "", lastMessage: "" },
    },
    report: {
      ...{ state, publicKey, voting, caughtUp: voting, view: 0, primary: 0, incarnation: null },
      ...{ formationId: null, slots: { owned: 0, epoch: 0 }, version: "0.1.0", message: "" },
      ...(nextKey === undefined ? {} : { nextKey }),
      machine: { version: 1, min: 1, max: 1 },
    },
  };
}

function observedOf(members: readonly ObservedMember[]): ObservedShard {
  const metadata = { name: "lobby", namespace: "default", generation: 1 };
  const manifest = { apiVersion: "tigerchat.dev/v1alpha1", kind: "RoomShard", metadata, spec: {} };
  const shard = validateRoomShard(manifest);
  assert.ok(shard.ok);
  const template = { wanted: "new", current: "new", proven: "new", failed: "" };
  return { shard: shard.value, nowMs: 0, template, members };
}

const three = (change: Readonly<Record<number, Facts>> = {}): ObservedShard => {
  return observedOf([0, 1, 2].map((replica) => memberOf(replica, change[replica])));
};

const formed: GenesisRecord = {
  ...{ step: "done", formationId: "ab".repeat(32), cluster, tenant: "" },
  slots: { first: 0, count: 4096, epoch: 1 },
  members: [0, 1, 2].map((replica) => {
    return { replica, incarnation: `${replica}a`.repeat(16), publicKey: keyOf(replica, 1) };
  }),
};

const rotation: KeyRotation = {
  ...{ request: "1", replica: 1, retire: keyOf(1, 1), next: keyOf(1, 2), done: false },
};
const under = withRotation(formed, rotation);
const done = withoutFormer(under, rotation);

test("policy: a replica's key changes once a word, beside two that are well", () => {
  assert.deepEqual(rotateStep(three(), formed, undefined), { kind: "none" });
  const begin = { kind: "rotate", replica: 1, retire: keyOf(1, 1) } as const;
  assert.deepEqual(rotateStep(three(), formed, "1"), { ...begin, request: "1" });
  const after = three({ 1: { publicKey: keyOf(1, 2) } });
  assert.deepEqual(rotateStep(after, done, "1"), { kind: "none" });
  assert.equal(rotateStep(after, done, "1-b").kind, "rotate");
  assert.equal(rotateStep(after, done, "2").kind, "rotate");
  assert.deepEqual(rotateStep(after, done, undefined), { kind: "forget" });
  assert.deepEqual(rotateStep(after, withoutRotation(done), undefined), { kind: "none" });
  assert.equal(rotateStep(after, withoutRotation(done), "1").kind, "rotate");
  const waits = (observed: ObservedShard): string => {
    const step = rotateStep(observed, formed, "1");
    return step.kind === "wait" ? `${step.reason}: ${step.note}` : step.kind;
  };
  assert.match(waits(three({ 2: { voting: false } })), /RotationWaits: .* waits for replica 2/);
  assert.match(waits(three({ 0: { certification: "missing" } })), /waits for replica 0/);
  assert.match(waits(three({ 1: { ready: false } })), /waits for replica 1/);
  assert.match(waits(three({ 2: { templateHash: "old" } })), /until the pods run/);
  const { shard, ...rest } = three();
  const paused = { ...rest, shard: { ...shard, spec: { ...shard.spec, paused: true } } };
  assert.match(waits(paused), /until the shard is not paused/);
});

test("policy: a word that names no replica is refused with a sentence, and is a condition", () => {
  for (const word of ["", "3", "lobby-1", "1-", "1 ", `1-${"x".repeat(61)}`, "1-a b", "-1"]) {
    const step = rotateStep(three(), formed, word);
    assert.ok(step.kind === "wait" && step.reason === "NoSuchReplica", word);
    assert.match(step.note, /give it the index of a replica, 0, 1 or 2/);
    const { status, reason, message } = rotateFinding(step, formed);
    assert.deepEqual([status, reason, message], ["False", "NoSuchReplica", step.note]);
  }
  assert.equal(rotateFinding(rotateStep(three(), done, "1"), done).reason, "KeyRotated");
  assert.equal(rotateFinding(rotateStep(three(), formed, undefined), formed).reason, "NoneAsked");
  assert.equal(rotateFinding(rotateStep(three(), formed, "1"), formed).reason, "Rotating");
});

test("policy: a change under way is finished first, whoever asked for it", () => {
  const begun = three({ 1: { nextKey: keyOf(1, 2) } });
  const go = { kind: "rotate", replica: 1, retire: keyOf(1, 1) } as const;
  assert.deepEqual(rotateStep(begun, formed, undefined), { ...go, request: "" });
  assert.deepEqual(rotateStep(begun, formed, "1"), { ...go, request: "1" });
  assert.deepEqual(rotateStep(begun, formed, "2"), { ...go, request: "" });
  assert.deepEqual(rotateStep(begun, under, "2"), { ...go, request: "1" });
  assert.deepEqual(rotateStep(begun, under, "nobody"), { ...go, request: "1" });
  const counts = three({ 1: { publicKey: keyOf(1, 2), nextKey: keyOf(1, 2) } });
  assert.deepEqual(rotateStep(counts, under, "1"), { ...go, retire: keyOf(1, 2), request: "1" });
  const alone = three({ 1: { publicKey: keyOf(1, 2) } });
  assert.deepEqual(rotateStep(alone, under, undefined), { kind: "settle", rotation });
  // What a stranger says at its address is no proof that the key changed.
  const stranger = three({ 1: { publicKey: keyOf(1, 2), certification: "missing" } });
  assert.equal(rotateStep(stranger, under, "1").kind, "wait");
  const elsewhere = three({ 1: { state: "unformatted", publicKey: keyOf(1, 3), voting: false } });
  assert.equal(rotateStep(elsewhere, under, "1").kind, "wait");
});

test("policy: while a key changes the claims name both, afterwards the next one only", () => {
  assert.deepEqual(keysOf(formed, 1), [keyOf(1, 1)]);
  assert.deepEqual(keysOf(under, 1), [keyOf(1, 1), keyOf(1, 2)]);
  assert.deepEqual(keysOf(under, 2), [keyOf(2, 1)]);
  assert.deepEqual(keysOf(done, 1), [keyOf(1, 2)]);
  assert.deepEqual(keysOf({ ...formed, members: [] }, 1), []);
  const volume = { replica: 1, incarnation: "cc".repeat(16), publicKey: keyOf(1, 5) };
  const replaced = withVoter(under, volume);
  assert.deepEqual(keysOf(replaced, 1), [keyOf(1, 5)]);
  assert.equal(replaced.rotation?.done, true, "the key that was to go went with its volume");
  assert.equal(withVoter(under, { ...volume, replica: 2 }).rotation?.done, false);
});

test("policy: claims of one formation that differ are made equal, as the first one has it", () => {
  const differing = three({
    0: { genesis: under },
    1: { genesis: formed },
    2: { genesis: formed },
  });
  assert.deepEqual(genesisStep(differing, cluster), { kind: "spread", record: under });
  const equal = three({ 0: { genesis: under }, 1: { genesis: under }, 2: { genesis: under } });
  assert.equal(genesisStep(equal, cluster).kind, "formed");
});

test("policy: no change of a key begins but with three that are well", () => {
  const facts = fc.record({
    voting: fc.boolean(),
    ready: fc.boolean(),
    templateHash: fc.constantFrom("new", "old"),
    certification: fc.constantFrom("valid" as const, "missing" as const, "unknown" as const),
    nextKey: fc.option(fc.constant(keyOf(1, 2)), { nil: undefined }),
  });
  const records = fc.constantFrom(formed, under, done);
  const words = fc.option(fc.constantFrom("0", "1", "2", "2-b", "x"), { nil: undefined });
  const property = fc.property(
    fc.tuple(facts, facts, facts),
    records,
    words,
    (all, record, word) => {
      const observed = observedOf(all.map((one, replica) => memberOf(replica, one)));
      const step = rotateStep(observed, record, word);
      if (step.kind !== "rotate") return;
      assert.ok(observed.members.every(isHealthy));
      assert.ok(all.every(({ templateHash }) => templateHash === "new"));
    },
  );
  fc.assert(property, { numRuns: 3_000, seed: 13 });
});

/** A replica's two keys, what the claims say, and an operator that may die before any write. */
class Model {
  publicKey = keyOf(1, 1);
  nextKey: string | undefined;
  record = formed;
  /** Keys that there were. */
  made = 1;

  step(word: string | undefined): RotateStep {
    const { publicKey, nextKey } = this;
    return rotateStep(three({ 1: { publicKey, nextKey } }), this.record, word);
  }

  /** Writes one after another, `left` of them; then the operator is dead. */
  obey(step: RotateStep, left: number): void {
    const writes: (() => void)[] = [];
    if (step.kind === "forget") writes.push(() => (this.record = withoutRotation(this.record)));
    if (step.kind === "settle") {
      writes.push(() => (this.record = withoutFormer(this.record, step.rotation)));
    }
    if (step.kind === "rotate") writes.push(...this.rotate(step));
    for (const write of writes.slice(0, left)) write();
  }

  private rotate({ replica, retire, request }: Extract<RotateStep, { kind: "rotate" }>) {
    const next = this.nextKey ?? keyOf(1, this.made + 1);
    const change = { request, replica, retire, next, done: false };
    const known = this.record.rotation?.done === false ? this.record.rotation : change;
    return [
      () => {
        if (this.nextKey === undefined) this.made += 1;
        this.nextKey = next;
      },
      () => (this.record = withRotation(this.record, known)),
      () => {
        assert.ok(keysOf(this.record, 1).includes(next), "recorded before it counts");
        this.publicKey = next;
      },
      () => (this.nextKey = undefined),
      () => (this.record = withoutFormer(this.record, known)),
    ];
  }
}

test("policy: wherever the operator dies, one word is one change of a key", () => {
  const property = fc.property(fc.array(fc.nat({ max: 5 }), { maxLength: 8 }), (deaths) => {
    const model = new Model();
    for (const left of deaths) model.obey(model.step("1"), left);
    for (let round = 0; round < 3; round += 1) model.obey(model.step("1"), 9);
    assert.deepEqual(model.step("1"), { kind: "none" });
    assert.equal(model.publicKey, keyOf(1, 2));
    assert.deepEqual(keysOf(model.record, 1), [keyOf(1, 2)]);
    assert.equal(model.made, 2);
    model.obey(model.step(undefined), 9);
    assert.equal(model.record.rotation, undefined);
  });
  fc.assert(property, { numRuns: 500, seed: 17 });
});
