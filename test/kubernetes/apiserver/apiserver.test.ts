// Goal: the operator turns a manifest into a running shard on a real API server, controller manager
// and scheduler, and keeps its promises there. Method: one control plane for all, scenarios in
// order; the pods' processes are real replicas, started by a played kubelet (played-kubelet.ts).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { deletionScenarios } from "./deletion-scenarios.ts";
import { formingScenarios } from "./forming-scenarios.ts";
import { rotationScenarios } from "./rotation-scenarios.ts";
import { schemaScenarios } from "./schema-scenarios.ts";
import { servingScenarios } from "./serving-scenarios.ts";
import { Stage } from "./stage.ts";

let stage: Stage | undefined;
/** The scenario that runs, or that failed: what builds on it is then not worth its time. */
let unfinished = "";

before(async () => {
  stage = await Stage.open();
});

after(async () => {
  await stage?.close();
});

const scenarios = [
  ...[schemaScenarios, formingScenarios, servingScenarios],
  ...[rotationScenarios, deletionScenarios],
].flat();

for (const { name, run } of scenarios) {
  test(`apiserver: ${name}`, async () => {
    assert.equal(unfinished, "", "Not run, because this failed before.");
    assert.ok(stage !== undefined);
    unfinished = name;
    await run(stage);
    unfinished = "";
  });
}
