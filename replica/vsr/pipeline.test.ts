// Goal: a batch never outgrows the slot that it must fit, whatever waits and in whatever order.
import { ok, throws } from "node:assert/strict";
import { test } from "node:test";
import { type Checksum, clientIdFrom, opFrom } from "#replica/base/brands.ts";
import type { Request } from "#replica/wire/prepare.ts";
import { requestEncodedBytes } from "#replica/wire/request.ts";
import { Pipeline } from "./pipeline.ts";

const clientId = clientIdFrom("c1".repeat(16));
const requestChecksum = "0".repeat(64) as Checksum;

function request(session: number, requestNumber: number, bytes: number): Request {
  const header = { session: opFrom(session), requestNumber, requestChecksum, clientId };
  return { header: { ...header, operationsCount: 1 }, body: new Uint8Array(bytes) };
}

test("pipeline: what a second registration leaves behind fits the next batch with others", () => {
  const bytesMax = 4000;
  const pipeline = new Pipeline(bytesMax);
  // Two registrations part the queue in every place; sizes up to the largest that fits alone.
  const sizes = [900, 0, 3000, 0, 1800, 1800, 0, 0, 3700, 100, 1, 0];
  for (const [i, bytes] of sizes.entries()) {
    ok(pipeline.enqueue(request(bytes === 0 ? 0 : 7, i, bytes)));
  }
  let taken = 0;
  for (let turn = 0; turn < sizes.length && pipeline.waiting > 0; turn += 1) {
    const batch = pipeline.takeBatch();
    const bytes = batch.reduce((sum, one) => sum + requestEncodedBytes(one.body.length), 0);
    ok(batch.length > 0 && bytes <= bytesMax, `${bytes} bytes`);
    ok(batch.filter(({ header }) => header.session === 0).length <= 1);
    taken += batch.length;
  }
  ok(taken === sizes.length && pipeline.waiting === 0);
});

test("pipeline: a request that fits no prepare is a bug of the caller", () => {
  throws(() => new Pipeline(1000).enqueue(request(7, 1, 1000)), /VSR-33/);
});
