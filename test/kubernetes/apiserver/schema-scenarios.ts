import assert from "node:assert/strict";
import type { RuleCase } from "#operator/api/rule-cases.ts";
import { ruleCases } from "#operator/api/rule-cases.ts";
import { rules } from "#operator/api/rules.ts";
import type { Scenario } from "./scenario.ts";
import type { Stage } from "./stage.ts";

const collection = "/apis/tigerchat.dev/v1alpha1/namespaces/schema/roomshards";

function manifest(one: RuleCase, spec: unknown): object {
  const metadata = { name: one.objectName ?? one.name, namespace: "schema" };
  return { apiVersion: "tigerchat.dev/v1alpha1", kind: "RoomShard", metadata, spec };
}

async function judge(stage: Stage, one: RuleCase): Promise<void> {
  const { api } = stage.controlPlane;
  const name = one.objectName ?? one.name;
  if (one.before !== undefined) {
    const made = await api.send("POST", collection, manifest(one, one.before));
    assert.equal(made.status, 201, `${one.name}: ${JSON.stringify(made.body)}`);
  }
  const answer =
    one.before === undefined
      ? await api.send("POST", collection, manifest(one, one.spec))
      : await api.send(
          "PATCH",
          `${collection}/${name}`,
          { spec: one.spec },
          "application/merge-patch+json",
        );
  const text = JSON.stringify(answer.body);
  if (one.refusedBy === null) {
    assert.ok(answer.status < 300, `${one.name}: ${text}`);
    return;
  }
  assert.equal(answer.status, 422, `${one.name}: ${text}`);
  const rule = rules.find(({ id }) => id === one.refusedBy);
  if (rule !== undefined) assert.ok(text.includes(rule.message), `${one.name}: ${text}`);
}

/** The CRD on a real API server: schema, rules, defaults, documentation, columns. */
export const schemaScenarios: readonly Scenario[] = [
  {
    name: "the CRD is accepted, with short name, category and status",
    run: async (stage) => {
      await stage.installCrd();
      await stage.kubectl.run("create", "namespace", "schema");
      const listed = await stage.kubectl.run("api-resources", "--api-group=tigerchat.dev");
      assert.match(listed, /roomshards\s+rsh\s+tigerchat\.dev\/v1alpha1\s+true\s+RoomShard/);
      const root = await stage.controlPlane.api.get("/apis/tigerchat.dev/v1alpha1");
      const { resources } = root as { resources: { name: string; categories?: string[] }[] };
      assert.deepEqual(
        resources.map(({ name }) => name),
        ["roomshards", "roomshards/status"],
      );
      assert.deepEqual(resources[0]?.categories, ["tigerchat"]);
    },
  },

  {
    name: "every case is judged by CEL as by its TypeScript twin",
    run: async (stage) => {
      for (const one of ruleCases) await judge(stage, one);
    },
  },

  {
    name: "an absent spec is stored with every default",
    run: async (stage) => {
      const { api } = stage.controlPlane;
      const metadata = { name: "bare", namespace: "schema" };
      const bare = { apiVersion: "tigerchat.dev/v1alpha1", kind: "RoomShard", metadata };
      const made = await api.send("POST", collection, bare);
      const { spec } = made.body as { spec: Record<string, unknown> };
      assert.deepEqual(spec["storage"], { size: "20Gi", walSize: "1Gi" });
      assert.deepEqual(spec["timing"], { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 });
      assert.equal(spec["fleet"], "default");
      assert.equal(spec["initialSlots"], undefined);
    },
  },

  {
    name: "kubectl explain documents every field, get shows the columns",
    run: async (stage) => {
      const { kubectl } = stage;
      const explained = await kubectl.run("explain", "rsh.spec.storage.size");
      assert.match(explained, /at least 4Gi\. It may grow, never\s+shrink/);
      const tree = await kubectl.run("explain", "rsh", "--recursive");
      for (const field of ["viewChangeMs", "keySecretName", "lastDecision", "claimUID"]) {
        assert.match(tree, new RegExp(`\\b${field}\\b`));
      }
      const header = await kubectl.run("get", "rsh", "-n", "schema", "-o", "wide");
      const columns = (header.split("\n")[0] ?? "").trim().split(/ +/).join(" ");
      const narrow = "NAME READY PHASE PRIMARY VIEW VOTING SLOTS VERSION AGE";
      assert.equal(columns, `${narrow} FLEET TENANT NODES REASON`);
      await kubectl.run("delete", "namespace", "schema");
    },
  },
];
