// Goal: no manifest makes the validator throw; each refusal names a field, and what is accepted is
// accepted again unchanged.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hostileTexts, hostileValues } from "#test/support/hostile.ts";
import { quantityFrom } from "./quantity.ts";
import { ruleCases } from "./rule-cases.ts";
import { validateRoomShard } from "./validate.ts";

const manifests = ruleCases
  .filter(({ refusedBy }) => refusedBy === null)
  .map(({ name, objectName, spec }) => {
    const metadata = { name: objectName ?? name };
    return { apiVersion: "tigerchat.dev/v1alpha1", kind: "RoomShard", metadata, spec };
  });

test("api: a manifest of any shape is validated, with sentences or with defaults", () => {
  assert.ok(manifests.length > 0);
  const each = Math.ceil(3_000 / manifests.length);
  for (const [index, manifest] of manifests.entries()) {
    for (const value of hostileValues(manifest, index + 1, each)) {
      const validated = validateRoomShard(value);
      if (validated.ok) assert.deepEqual(validateRoomShard(validated.value), validated);
      else {
        assert.ok(validated.faults.length > 0);
        for (const fault of validated.faults) assert.ok(fault.length > 3 && fault.length < 2_000);
      }
    }
  }
});

test("api: a size of any text is bytes or none", () => {
  for (const text of hostileTexts("20Gi", 1, 2_000)) {
    const bytes = quantityFrom(text);
    assert.ok(bytes === null || bytes > 0n, text.slice(0, 50));
  }
});
