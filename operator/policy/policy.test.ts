// Goal: no decision ever takes a second voter away, restarts the primary without a transfer, gives
// a shard a second genesis, or lets a bad template spread. Method: random observations and a small
// model of a shard that obeys the decisions while faults happen.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { validateRoomShard } from "#operator/api/validate.ts";
import { conditionsFrom } from "./conditions.ts";
import { genesisStep } from "./genesis.ts";
import type { GenesisRecord, ObservedMember, ObservedPod, ObservedShard } from "./observed.ts";
import { isHealthy, quorumOf } from "./quorum.ts";
import { replaceStep } from "./replace.ts";
import { restartStep } from "./restart.ts";
import { rollDecision, rollPatienceMs } from "./roll.ts";
import { isUrgent, statusOf } from "./status.ts";
import { waitsFor } from "./turn.ts";
import { upgradeStep } from "./upgrade.ts";

const cluster = "0f".repeat(16);
const formationId = "ab".repeat(32);

function shardOf(spec: object = {}): RoomShard {
  const manifest = {
    apiVersion: "tigerchat.dev/v1alpha1",
    kind: "RoomShard",
    metadata: { name: "lobby", namespace: "default", generation: 1 },
    spec,
  };
  const validated = validateRoomShard(manifest);
  assert.ok(validated.ok);
  return validated.value;
}

const podArbitrary = fc.record({
  ready: fc.boolean(),
  running: fc.boolean(),
  terminating: fc.boolean(),
  templateHash: fc.constantFrom<string[]>("new", "old"),
});

const memberArbitrary = fc.record({
  pod: fc.option(podArbitrary),
  report: fc.option(
    fc.record({
      state: fc.constantFrom("normal", "view_change", "unformatted", "poisoned"),
      view: fc.nat({ max: 5 }),
      voting: fc.boolean(),
      caughtUp: fc.boolean(),
    }),
  ),
  certification: fc.constantFrom("valid" as const, "missing" as const, "unknown" as const),
});

type MemberSeed = typeof memberArbitrary extends fc.Arbitrary<infer T> ? T : never;

function podOf(replica: number, facts: Partial<ObservedPod>): ObservedPod {
  return {
    name: `lobby-${replica}`,
    uid: `uid-${replica}`,
    ip: `127.0.0.${replica + 2}`,
    node: `n${replica}`,
    ready: true,
    running: true,
    terminating: false,
    templateHash: "new",
    createdMs: 0,
    stuckReason: "",
    lastMessage: "",
    ...facts,
  };
}

function memberOf(replica: number, seed: MemberSeed): ObservedMember {
  const { pod, report, certification } = seed;
  const common = {
    incarnation: null,
    publicKey: null,
    formationId: null,
    primary: null,
    slots: { owned: 0, epoch: 0 },
    version: "0.1.0",
    machine: { version: 1, min: 1, max: 1 },
    message: "",
  };
  return {
    replica,
    certification,
    claim: { uid: `claim-${replica}`, genesis: null },
    ...(pod === null ? {} : { pod: podOf(replica, pod) }),
    ...(report === null ? {} : { report: { ...common, ...report } }),
  };
}

function observedOf(members: readonly ObservedMember[], spec: object = {}): ObservedShard {
  const template = { wanted: "new", current: "new", proven: "old", failed: "" };
  return { shard: shardOf(spec), nowMs: 1_000, template, members };
}

const healthy: MemberSeed = {
  pod: { ready: true, running: true, terminating: false, templateHash: "new" },
  report: { state: "normal", view: 4, voting: true, caughtUp: true },
  certification: "valid",
};

test("policy: no step ever takes away a voter while another is not healthy", () => {
  const three = fc.tuple(memberArbitrary, memberArbitrary, memberArbitrary);
  const property = fc.property(three, (seeds) => {
    const members = seeds.map((seed, replica) => memberOf(replica, seed));
    const observed = observedOf(members);
    const step = restartStep(observed);
    if (step.kind === "none" || step.kind === "wait") return;
    if (step.kind === "transfer") {
      const target = members[step.target];
      assert.ok(target !== undefined && isHealthy(target));
      assert.equal(quorumOf(observed).view, step.view);
      return;
    }
    const pod = members[step.replica]?.pod;
    assert.ok(pod !== undefined && !pod.terminating);
    assert.equal(pod.templateHash, "old");
    if (step.kind === "evict") {
      assert.notEqual(step.replica, quorumOf(observed).primary);
      const others = members.filter(({ replica }) => replica !== step.replica);
      assert.ok(others.every(isHealthy));
    } else {
      assert.equal(pod.ready, false);
      assert.ok(!pod.running || members[step.replica]?.report?.voting === false);
    }
  });
  fc.assert(property, { numRuns: 3_000, seed: 7 });
});

test("policy: a roll replaces all three, not ready ones first, the primary last", () => {
  for (let primary = 0; primary < 3; primary += 1) {
    let view = primary;
    const hashes = ["old", "old", "old"];
    const order: number[] = [];
    for (let round = 0; round < 20; round += 1) {
      const members = hashes.map((templateHash, replica) =>
        memberOf(replica, {
          ...healthy,
          pod: { ready: true, running: true, terminating: false, templateHash },
          report: { state: "normal", view, voting: true, caughtUp: true },
        }),
      );
      const step = restartStep(observedOf(members));
      if (step.kind === "none") break;
      if (step.kind === "transfer") view = step.target + 3;
      else if (step.kind === "evict") {
        hashes[step.replica] = "new";
        order.push(step.replica);
      } else assert.fail(step.kind);
    }
    assert.deepEqual(hashes, ["new", "new", "new"]);
    assert.equal(order.at(-1), primary);
  }
});

test("policy: one shard of a fleet rolls at a time, one that has begun before others", () => {
  const idle = { name: "a", outdated: 0, current: 3 };
  const fresh = { name: "b", outdated: 3, current: 0 };
  const begun = { name: "c", outdated: 1, current: 2 };
  assert.equal(waitsFor(fresh, [idle]), null);
  assert.equal(waitsFor(fresh, [idle, begun]), "c");
  assert.equal(waitsFor(begun, [fresh]), null);
  assert.equal(waitsFor({ ...fresh, name: "d" }, [fresh]), "b");
  assert.equal(waitsFor(idle, [begun]), null);
});

test("policy: three pods stuck on a bad template are freed one by one", () => {
  const stuck = { ready: false, running: false, terminating: false, templateHash: "old" };
  const seeds = [0, 1, 2].map((replica) =>
    memberOf(replica, { pod: stuck, report: null, certification: "unknown" }),
  );
  const step = restartStep(observedOf(seeds));
  assert.equal(step.kind, "delete");
});

test("policy: a replica without a certificate of the fleet is heard, not believed", () => {
  const members = [0, 1, 2].map((replica) =>
    memberOf(replica, { ...healthy, certification: replica === 0 ? "valid" : "missing" }),
  );
  assert.equal(quorumOf(observedOf(members)).available, false);
});

function recorded(step: GenesisRecord["step"], change: Partial<GenesisRecord> = {}): GenesisRecord {
  const slots = { first: 0, count: 4096, epoch: 1 };
  return { step, formationId, cluster, tenant: "", slots, members: [], ...change };
}

function formingMembers(
  records: readonly (GenesisRecord | null)[],
  state: string,
): readonly ObservedMember[] {
  return records.map((genesis, replica) => {
    const member = memberOf(replica, { ...healthy, report: { ...healthy.report, state } as never });
    return { ...member, claim: { uid: "u", genesis } };
  });
}

test("policy: an empty volume is replaced on a person's word, beside two that are well", () => {
  const empty = { ...healthy, report: { ...healthy.report, state: "unformatted" } as never };
  const lostAt = (lost: readonly number[]): ObservedShard => {
    return observedOf([0, 1, 2].map((i) => memberOf(i, lost.includes(i) ? empty : healthy)));
  };
  assert.deepEqual(replaceStep(lostAt([]), "0"), { kind: "none" });
  assert.deepEqual(replaceStep(lostAt([2]), "2"), { kind: "replace", replica: 2 });
  const reasonOf = (observed: ObservedShard, permitted?: string): string => {
    const step = replaceStep(observed, permitted);
    return step.kind === "wait" ? step.reason : step.kind;
  };
  assert.equal(reasonOf(lostAt([2])), "VolumeLost");
  assert.equal(reasonOf(lostAt([2]), "1"), "VolumeLost");
  assert.equal(reasonOf(lostAt([1, 2]), "2"), "VolumesLost");
  const [first, ...others] = lostAt([2]).members;
  assert.ok(first?.report !== undefined);
  const behind = { ...first, report: { ...first.report, caughtUp: false } };
  assert.equal(reasonOf(observedOf([behind, ...others]), "2"), "ReplacementWaits");
  const { report: _, ...silent } = first;
  assert.equal(reasonOf(observedOf([silent, ...others]), "2"), "ReplacementWaits");
  // A volume that is there and may not vote is not overwritten.
  const rolledBack = { ...first, report: { ...first.report, state: "lost" } };
  assert.equal(
    reasonOf(observedOf([rolledBack, ...lostAt([]).members.slice(1)]), "0"),
    "VolumeUseless",
  );
});

test("policy: no replacement begins but with one empty volume and two that are well", () => {
  const three = fc.tuple(memberArbitrary, memberArbitrary, memberArbitrary);
  const property = fc.property(three, fc.constantFrom("0", "1", "2"), (seeds, permitted) => {
    const members = seeds.map((seed, replica) => memberOf(replica, seed));
    const step = replaceStep(observedOf(members), permitted);
    if (step.kind !== "replace") return;
    assert.equal(String(step.replica), permitted);
    const others = members.filter(({ replica }) => replica !== step.replica);
    assert.ok(others.every(isHealthy));
    assert.equal(members[step.replica]?.report?.state, "unformatted");
  });
  fc.assert(property, { numRuns: 3_000, seed: 11 });
});

function versioned(max: readonly number[], template: object = {}, versions = [1, 1, 1]) {
  const members = max.map((newest, replica) => {
    const machine = { version: versions[replica] ?? null, min: 1, max: newest };
    return memberOf(replica, { ...healthy, report: { ...healthy.report, machine } as never });
  });
  const observed = observedOf(members);
  return { ...observed, template: { ...observed.template, proven: "new", ...template } };
}

test("policy: a later machine waits for three builds that know it and a proven template", () => {
  assert.deepEqual(upgradeStep(versioned([2, 2, 2])), { kind: "upgrade", primary: 1, version: 2 });
  assert.deepEqual(upgradeStep(versioned([2, 1, 2])), { kind: "none" });
  assert.deepEqual(upgradeStep(versioned([2, 2, 2], {}, [2, 2, 2])), { kind: "none" });
  const rolling = upgradeStep(versioned([2, 2, 2], { proven: "old" }));
  assert.equal(rolling.kind === "wait" && rolling.reason, "Rolling");
  const reverting = upgradeStep(versioned([2, 2, 2], { current: "old", failed: "new" }));
  assert.equal(reverting.kind, "wait");
  const whole = versioned([2, 2, 2]);
  const [first, ...others] = whole.members;
  assert.ok(first?.report !== undefined);
  const behind = { ...first, report: { ...first.report, caughtUp: false } };
  const lagging = upgradeStep({ ...whole, members: [behind, ...others] });
  assert.equal(lagging.kind === "wait" && lagging.reason, "NotCaughtUp");
  const { report: _, ...silent } = first;
  assert.equal(upgradeStep({ ...whole, members: [silent, ...others] }).kind, "wait");
});

test("policy: claims that say done rule out every further genesis, whatever the disks say", () => {
  for (const state of ["unformatted", "normal", "poisoned"]) {
    const records = [recorded("done"), recorded("done"), recorded("done")];
    const step = genesisStep(observedOf(formingMembers(records, state)), cluster);
    assert.equal(step.kind, "formed");
    const partly = formingMembers([recorded("done"), null, recorded("format")], state);
    assert.equal(genesisStep(observedOf(partly), cluster).kind, "spread");
  }
});

test("policy: a genesis begins only on three claims and three disks that say nothing", () => {
  const none = [null, null, null];
  const begin = genesisStep(observedOf(formingMembers(none, "unformatted")), cluster);
  assert.equal(begin.kind, "begin");
  const formatted = genesisStep(observedOf(formingMembers(none, "normal")), cluster);
  assert.equal(formatted.kind, "refuse");
  const members = formingMembers(none, "unformatted").slice(0, 2);
  const lacking: ObservedMember = { replica: 2, certification: "unknown" };
  assert.equal(genesisStep(observedOf([...members, lacking]), cluster).kind, "wait");
});

test("policy: claims of another fleet or of two formations are refused", () => {
  const foreign = recorded("done", { cluster: "11".repeat(16) });
  const other = recorded("done", { formationId: "cd".repeat(32) });
  const three = formingMembers([foreign, foreign, foreign], "normal");
  assert.equal(genesisStep(observedOf(three), cluster).kind, "refuse");
  const mixed = formingMembers([recorded("done"), other, other], "normal");
  assert.equal(genesisStep(observedOf(mixed), cluster).kind, "refuse");
});

test("policy: a failed, paused or unrequested roll holds the proven template", () => {
  const members = [0, 1, 2].map((replica) => memberOf(replica, healthy));
  const base = observedOf(members);
  const broken = [{ ...members[0], report: undefined } as never, ...members.slice(1)];
  const late = { ...base, nowMs: rollPatienceMs + 1, members: broken };
  assert.equal(rollDecision(late, false).kind, "fail");
  const template = { ...base.template, current: "old", failed: "new" };
  assert.deepEqual(rollDecision({ ...base, template }, false), {
    kind: "hold_proven",
    reason: "Failed",
  });
  const untouched = { ...base.template, current: "old" };
  const paused = { ...base, template: untouched, shard: shardOf({ paused: true }) };
  assert.equal(rollDecision(paused, false).kind, "hold_proven");
  const asked = shardOf({ update: { policy: "OnRequest" } });
  assert.equal(
    rollDecision({ ...base, template: untouched, shard: asked }, false).kind,
    "hold_proven",
  );
  assert.equal(rollDecision({ ...base, template: untouched, shard: asked }, true).kind, "wanted");
  assert.equal(rollDecision(base, false).kind, "prove");
});

test("policy: status names primary and voters, and keeps times of what is unchanged", () => {
  const members = [0, 1, 2].map((replica) => memberOf(replica, healthy));
  const observed = observedOf(members);
  const genesis = { kind: "formed", record: recorded("done") } as const;
  const decided = { genesis, roll: { kind: "wanted" }, restart: { kind: "none" } } as const;
  const more = { image: "i", clusterID: cluster, lastDecision: undefined };
  const status = statusOf(observed, decided, { ...more, now: "2026-11-21T10:00:00Z" });
  assert.equal(status.primary, 1);
  assert.equal(status.voting, "3/3");
  const shard = { ...observed.shard, status };
  const later = statusOf({ ...observed, shard }, decided, { ...more, now: "2026-11-21T11:00:00Z" });
  assert.deepEqual(later, status);
  assert.equal(isUrgent(later, status), false);
  assert.equal(isUrgent({ ...later, primary: 2 }, status), true);
  const retold = (type: string) => {
    const told = later.conditions?.map((one) =>
      one.type === type ? { ...one, message: "" } : one,
    );
    return isUrgent({ ...later, conditions: told ?? [] }, status);
  };
  assert.equal(retold("Ready"), false);
  assert.equal(retold("KeysUpToDate"), true, "the answer to another word of the same kind");
  const findings = [{ type: "Ready", status: "False", reason: "x", message: "" }] as const;
  const [ready] = conditionsFrom(findings, status.conditions ?? [], 1, "2026-11-21T12:00:00Z");
  assert.equal(ready?.lastTransitionTime, "2026-11-21T12:00:00Z");
});
