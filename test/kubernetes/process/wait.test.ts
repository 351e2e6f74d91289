import assert from "node:assert/strict";
import { test } from "node:test";
import { waitFor } from "./wait.ts";

test("wait: an answer ends it, even 0 or an empty text", async () => {
  assert.equal(await waitFor("zero", 1_000, () => 0), 0);
  assert.equal(await waitFor("nothing to say", 1_000, () => ""), "");
});

test("wait: a failure names what was awaited, the last error and the explanation", async () => {
  const probe = (): boolean => {
    throw new Error("refused");
  };
  const options = { intervalMs: 5, explain: () => "tail of the log" };
  const failed = waitFor("the moon", 20, probe, options);
  await assert.rejects(failed, /20 ms in vain for the moon[\s\S]*refused[\s\S]*tail of the log/);
});

test("wait: gives up at once when told that it is hopeless", async () => {
  const started = performance.now();
  const failed = waitFor("the dead", 60_000, () => false, { abort: () => "etcd ended" });
  await assert.rejects(failed, /waiting for the dead: etcd ended/);
  assert.ok(performance.now() - started < 5_000);
});
