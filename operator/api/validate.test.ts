// Goal: the TypeScript twins judge as the CEL rules do. The same cases go to a real API server in
// test/kubernetes/apiserver.
import assert from "node:assert/strict";
import { test } from "node:test";
import { completeTiming, timingProblem } from "#replica/base/timing.ts";
import { roomShardCrd } from "./crd.ts";
import { quantityCompare, quantityFrom } from "./quantity.ts";
import type { RoomShard } from "./room-shard.ts";
import type { RuleCase } from "./rule-cases.ts";
import { ruleCases } from "./rule-cases.ts";
import { rules } from "./rules.ts";
import type { Schema } from "./schema.ts";
import { specSchema } from "./spec-schema.ts";
import { statusSchema } from "./status-schema.ts";
import { validateRoomShard } from "./validate.ts";

function manifest(one: RuleCase, spec: unknown): unknown {
  const metadata = { name: one.objectName ?? one.name };
  return { apiVersion: "tigerchat.dev/v1alpha1", kind: "RoomShard", metadata, spec };
}

function shardOf(value: unknown): RoomShard {
  const validated = validateRoomShard(value);
  assert.ok(validated.ok, validated.ok ? "" : validated.faults.join(" "));
  return validated.value;
}

test("api: every case is judged by the twin of the rule that it names", () => {
  for (const one of ruleCases) {
    const old = one.before === undefined ? undefined : shardOf(manifest(one, one.before));
    const validated = validateRoomShard(manifest(one, one.spec), old);
    const rule = rules.find(({ id }) => id === one.refusedBy);
    if (one.refusedBy === null) {
      assert.ok(validated.ok, `${one.name}: ${validated.ok ? "" : validated.faults.join(" ")}`);
      continue;
    }
    assert.ok(!validated.ok, `${one.name} was accepted`);
    const expected = rule === undefined ? /^spec/ : rule.message;
    assert.ok(
      validated.faults.some((fault) =>
        typeof expected === "string" ? fault.endsWith(expected) : expected.test(fault),
      ),
      `${one.name}: ${validated.faults.join(" ")}`,
    );
  }
});

test("api: every rule has a case that it refuses", () => {
  const refusing = new Set(ruleCases.map((one) => one.refusedBy));
  assert.deepEqual(
    rules.map((rule) => rule.id).filter((id) => !refusing.has(id)),
    [],
  );
});

test("api: an absent spec becomes the documented defaults", () => {
  const { spec } = shardOf(manifest({ name: "lobby", refusedBy: null, spec: {} }, undefined));
  assert.deepEqual(spec.storage, { size: "20Gi", walSize: "1Gi" });
  assert.deepEqual(spec.timing, { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 });
  assert.deepEqual(spec.resources.limits, { memory: "2Gi" });
  assert.equal(spec.fleet, "default");
  assert.equal(spec.initialSlots, undefined);
});

test("api: times are accepted here exactly when a replica accepts them", () => {
  for (const heartbeatMs of [4, 5, 20, 30, 10_000, 10_001]) {
    for (const suspectMs of [19, 20, 79, 80, 120, 60_000, 60_001]) {
      for (const viewChangeMs of [20, 100, 150, 60_000]) {
        const timing = { heartbeatMs, suspectMs, viewChangeMs };
        const one = { name: "x", refusedBy: null, spec: { timing } };
        const here = validateRoomShard(manifest(one, one.spec));
        const there = timingProblem(completeTiming(timing));
        assert.equal(here.ok, there === null, JSON.stringify(timing));
      }
    }
  }
});

test("api: unknown fields and foreign kinds are refused with a sentence", () => {
  const odd = validateRoomShard(manifest({ name: "x", refusedBy: null, spec: {} }, { colour: 1 }));
  assert.deepEqual(odd, { ok: false, faults: ["spec.colour is not a known field."] });
  const other = validateRoomShard({ apiVersion: "v1", kind: "Pod", metadata: { name: "x" } });
  assert.ok(!other.ok);
  assert.match(other.faults.join(), /kind RoomShard/);
});

test("api: quantities compare exactly across suffixes", () => {
  assert.equal(quantityFrom("64Mi"), 67_108_864n);
  assert.equal(quantityCompare("1024Mi", "1Gi"), 0);
  assert.equal(quantityCompare("1G", "1Gi"), -1);
  assert.equal(quantityFrom("0"), null);
  assert.equal(quantityFrom("1.5Gi"), null);
});

function undocumented(schema: Schema, path: string): readonly string[] {
  const own = /^[A-Z].*\.$/s.test(schema.description) ? [] : [path];
  if (schema.kind === "list") return [...own, ...undocumented(schema.items, `${path}[]`)];
  if (schema.kind !== "object") return own;
  const inner = Object.entries(schema.fields);
  return [...own, ...inner.flatMap(([name, field]) => undocumented(field, `${path}.${name}`))];
}

test("api: every field has a sentence of documentation", () => {
  assert.deepEqual(undocumented(specSchema, "spec"), []);
  assert.deepEqual(undocumented(statusSchema, "status"), []);
});

test("api: the CRD holds each rule once, with its sentence", () => {
  const text = JSON.stringify(roomShardCrd());
  for (const rule of rules) assert.equal(text.split(JSON.stringify(rule.cel)).length, 2, rule.id);
});
