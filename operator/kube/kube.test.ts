// Goal: the parts that keep keys, versions and waits in order. The reflector, the Lease and server-
// side apply are tested against a real API server in test/kubernetes/apiserver.
import assert from "node:assert/strict";
import { test } from "node:test";
import { refusalOf } from "./answer.ts";
import type { DesiredObjectsFit } from "./assignable.ts";
import { Backoff } from "./backoff.ts";
import { jsonLines } from "./json-lines.ts";
import { compareVersions, kinds, pathOf } from "./kube-object.ts";
import { microTime, wholeTime } from "./micro-time.ts";
import { PendingWrites } from "./pending-writes.ts";
import { WorkQueue } from "./work-queue.ts";

test("queue: what is added while it is worked on comes once more, however often", async () => {
  const queue = new WorkQueue();
  queue.add("a");
  queue.add("a");
  assert.equal(queue.depth, 1);
  assert.equal(await queue.next(), "a");
  queue.add("a");
  queue.add("a");
  assert.equal(queue.depth, 0);
  queue.done("a");
  assert.equal(queue.depth, 1);
  assert.equal(await queue.next(), "a");
  queue.done("a");
  assert.equal(queue.depth, 0);
  queue.close();
});

test("queue: one key is never with two workers; others go on", async () => {
  const queue = new WorkQueue();
  const first = queue.next();
  const second = queue.next();
  queue.add("a");
  queue.add("b");
  assert.deepEqual(await Promise.all([first, second]), ["a", "b"]);
  queue.add("a");
  let third: string | undefined;
  const waiting = queue.next().then((key) => {
    third = key;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(third, undefined);
  queue.done("a");
  await waiting;
  assert.equal(third, "a");
  queue.close();
});

test("queue: failures wait twice as long each time until they are forgotten", () => {
  const queue = new WorkQueue();
  const waits = [1, 2, 3, 4].map(() => queue.addAfterFailure("a"));
  assert.deepEqual(waits, [5, 10, 20, 40]);
  queue.forget("a");
  assert.equal(queue.addAfterFailure("a"), 5);
  queue.close();
});

test("queue: of several delays the earliest counts, and closing ends every wait", async () => {
  const queue = new WorkQueue();
  queue.addAfter("a", 60_000);
  queue.addAfter("a", 1);
  assert.equal(await queue.next(), "a");
  const waiting = queue.next();
  queue.close();
  assert.equal(await waiting, undefined);
  assert.equal(await queue.next(), undefined);
});

test("versions: compare as numbers of any size", () => {
  assert.ok(compareVersions("9", "10") < 0);
  assert.ok(compareVersions("18446744073709551616", "18446744073709551615") > 0);
  assert.equal(compareVersions("7", "7"), 0);
});

test("pending writes: a cache behind our write is waited for, but not for ever", () => {
  const writes = new PendingWrites();
  const object = { metadata: { name: "a", resourceVersion: "12" } };
  writes.wrote("k", object, 0);
  const old = { metadata: { name: "a", resourceVersion: "11" } };
  assert.equal(writes.isBehind("k", old, 100), true);
  assert.equal(writes.isBehind("k", object, 100), false);
  writes.wrote("k", object, 0);
  assert.equal(writes.isBehind("k", old, 5_001), false);
});

test("backoff: grows within its bounds and honours what the server asks", () => {
  const backoff = new Backoff(() => 0.999);
  const waits = Array.from({ length: 8 }, () => backoff.next());
  assert.ok(waits.every((wait) => wait >= 800 && wait <= 30_000));
  assert.ok((waits[3] ?? 0) > (waits[0] ?? 0));
  assert.equal(backoff.next(60_000), 60_000);
  backoff.reset();
  assert.ok(backoff.next() < 2_500);
});

test("json lines: split across chunks and characters", async () => {
  const bytes = Buffer.from('{"a":"ü"}\n{"b":2}\n');
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (const byte of bytes) yield Uint8Array.of(byte);
  }
  const lines: unknown[] = [];
  for await (const line of jsonLines(chunks())) lines.push(line);
  assert.deepEqual(lines, [{ a: "ü" }, { b: 2 }]);
});

test("answers: a Status object and a proxy's text both become a refusal", () => {
  const status = JSON.stringify({ kind: "Status", reason: "Conflict", message: "m" });
  assert.deepEqual(refusalOf(409, status, null), {
    ok: false,
    status: 409,
    reason: "Conflict",
    message: "m",
  });
  assert.equal(refusalOf(429, "slow down", "2").retryAfterMs, 2_000);
});

test("desired objects fit the types that Kubernetes publishes: a claim that tsc proves", () => {
  const kindsThatFit: DesiredObjectsFit["length"] = 12;
  assert.equal(kindsThatFit, 12);
});

test("times and paths have the forms that the API server takes", () => {
  assert.equal(microTime(0), "1970-01-01T00:00:00.000000Z");
  assert.equal(wholeTime(1_999), "1970-01-01T00:00:01Z");
  assert.equal(pathOf(kinds.pod, "default", "a"), "/api/v1/namespaces/default/pods/a");
  assert.equal(pathOf(kinds.roomShard, ""), "/apis/tigerchat.dev/v1alpha1/roomshards");
});
