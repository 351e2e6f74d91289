// The published border: vectors and documents follow from the schemas, and nothing drifts.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { asyncApiDocument } from "./asyncapi.ts";
import { bodyBytes } from "./body-fault.ts";
import { clientFrames } from "./client-frames.ts";
import { decodeClientFrame, decodeServerFrame } from "./decode-frame.ts";
import { closeCodeAction, errorRow, errorTable } from "./errors.ts";
import { httpCalls } from "./http-calls.ts";
import { openApiDocument } from "./openapi.ts";
import { serverFrames } from "./server-frames.ts";
import { clientFrameVectors, serverFrameVectors, vectorFiles } from "./vectors.ts";

function published(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

test("api: every client vector is judged as it says", () => {
  for (const vector of clientFrameVectors) {
    const decoded = decodeClientFrame(vector.text);
    const verdict = decoded.ok ? "valid" : `${decoded.name}: ${decoded.detail}`;
    assert.equal(decoded.ok, vector.valid, `${vector.name}: ${verdict}`);
    if (!decoded.ok) assert.equal(decoded.name, vector.error, vector.name);
  }
});

test("api: every server vector is judged as it says", () => {
  for (const vector of serverFrameVectors) {
    const decoded = decodeServerFrame(vector.text);
    assert.equal(decoded.ok, vector.valid, vector.name);
  }
});

test("api: vectors cover every op with a valid and an invalid case", () => {
  const cases = [
    [clientFrames, clientFrameVectors],
    [serverFrames, serverFrameVectors],
  ] as const;
  for (const [frames, vectors] of cases) {
    for (const op of Object.keys(frames)) {
      const own = vectors.filter((vector) => vector.name.startsWith(`${op}: `));
      assert.ok(
        own.some((vector) => vector.valid),
        op,
      );
      assert.ok(
        own.some((vector) => !vector.valid),
        op,
      );
    }
  }
});

test("api: committed vectors and documents are what the schemas give", () => {
  for (const [name, content] of Object.entries(vectorFiles())) {
    assert.deepEqual(published(`vectors/${name}`), plain(content), name);
  }
  const url = "http://127.0.0.1:8080";
  assert.deepEqual(published("published/openapi.json"), plain(openApiDocument(url)));
  assert.deepEqual(published("published/asyncapi.json"), plain(asyncApiDocument(url)));
});

test("api: every member of every frame is described", () => {
  for (const frames of [clientFrames, serverFrames]) {
    for (const [op, schema] of Object.entries(frames)) {
      assert.ok("description" in schema && "examples" in schema, op);
      for (const [member, property] of Object.entries(schema.properties)) {
        if (member === "op") continue;
        const text = JSON.stringify(property);
        assert.match(text, /"description":"/, `${op}.${member}`);
      }
    }
  }
});

test("api: error names of calls are rows of the table, and codes say when to reconnect", () => {
  for (const call of httpCalls) for (const name of call.errors) errorRow(name);
  for (const row of errorTable) {
    if (row.close === null) continue;
    assert.ok(row.close >= 4400 && row.close < 4600, row.name);
    if (row.close >= 4500) assert.equal(closeCodeAction(row.close), "reconnect");
  }
  assert.equal(closeCodeAction(4401), "token");
  assert.equal(closeCodeAction(4408), "reconnect");
  assert.equal(closeCodeAction(4403), "stop");
  assert.equal(closeCodeAction(1006), "reconnect");
});

test("api: any text is judged without a throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const decoded = decodeClientFrame(text);
      if (decoded.ok) assert.ok(decoded.frame.op in clientFrames);
      else assert.ok(decoded.detail.length <= 300);
    }),
    { numRuns: 300 },
  );
});

test("api: any mutilated frame is judged without a throw and keeps its id", () => {
  const bases = Object.values(clientFrames).flatMap((schema) => {
    return (schema as unknown as { readonly examples: readonly object[] }).examples;
  });
  const arbitrary = fc.record({
    base: fc.constantFrom(...bases),
    member: fc.string(),
    value: fc.jsonValue(),
  });
  fc.assert(
    fc.property(arbitrary, ({ base, member, value }) => {
      const frame = { ...base, [member]: value };
      const decoded = decodeClientFrame(JSON.stringify(frame));
      if (!decoded.ok && "id" in base && member !== "id") assert.equal(decoded.id, base.id);
    }),
    { numRuns: 300 },
  );
});

test("api: a body's bytes are those of its UTF-8 or of its base64", () => {
  const points = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 50 });
  fc.assert(
    fc.property(points, fc.uint8Array(), (units, bytes) => {
      const text = String.fromCharCode(...units);
      assert.equal(bodyBytes(text, undefined), Buffer.byteLength(text));
      assert.equal(bodyBytes(undefined, Buffer.from(bytes).toString("base64")), bytes.length);
    }),
    { numRuns: 100 },
  );
});
