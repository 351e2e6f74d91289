// Goal: what is generated from code and committed is what the code says now.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { validateRoomShard } from "#operator/api/validate.ts";
import { generatedFiles } from "./generated-files.ts";

const textOf = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("generate: no committed file has drifted from the code", () => {
  for (const { path, text } of generatedFiles()) {
    assert.equal(textOf(path), text, `${path}: run npm run generate`);
  }
});

test("generate: no generated template holds an expression of Helm by accident", () => {
  for (const { path, text } of generatedFiles()) {
    const expressions = [...text.matchAll(/{{.*?}}/g)].map(([found]) => found);
    const odd = expressions.filter((one) => !/^{{(- if|- end| \.Release\.Name )/.test(one));
    assert.deepEqual(odd, [], path);
    assert.ok(path.includes("/templates/") || expressions.length === 0, path);
  }
});

test("generate: kubectl and Helm, which read YAML 1.1, understand the same", () => {
  for (const { path, text } of generatedFiles()) {
    const plain = text.replaceAll(/^\{\{-.*\}\}$/gm, "").replaceAll(/\{\{.*?\}\}/g, "NAME");
    for (const part of plain.split("---\n")) {
      assert.deepEqual(parse(part, { version: "1.1" }), parse(part, { version: "1.2" }), path);
    }
  }
});

test("examples: the manifest that kubectl and npm start read is valid", () => {
  const validated = validateRoomShard(parse(textOf("deploy/examples/roomshard.yaml")));
  assert.ok(validated.ok, validated.ok ? "" : validated.faults.join(" "));
  assert.equal(validated.value.metadata.name, "lobby");
  assert.equal(validated.value.spec.storage.walSize, "64Mi");
});
