// Goal: the SDK's own implementation accepts and refuses what the server's does. Method: the shared
// vectors; and no byte of a receipt may be changed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ProofError, verifyCheckpoint, verifyReceipt } from "./receipt.ts";

interface Vectors {
  readonly keys: string;
  readonly keysOfAnotherLog: string;
  readonly keysAfterReplacements: string;
  readonly keysThatNeverServedTogether: string;
  readonly checkpoint: string;
  readonly right: readonly {
    readonly seq: number;
    readonly body: string;
    readonly from: string;
    readonly text: string;
  }[];
  readonly wrong: readonly { readonly why: string; readonly text: string }[];
}

const path = new URL("../../api/vectors/receipts.json", import.meta.url);
const vectors = JSON.parse(readFileSync(path, "utf8")) as Vectors;
const { keys, keysOfAnotherLog, checkpoint, right, wrong } = vectors;

test("sdk: receipts of the vectors hold, and say what they prove", async () => {
  for (const { seq, body, from, text } of right) {
    const proven = await verifyReceipt(text, keys);
    assert.deepEqual([proven.seq, proven.body, proven.from], [seq, body, from]);
    assert.deepEqual([proven.room, proven.tenant, proven.roomSize], ["lobby", "acme", 11]);
    assert.equal(proven.key.length, 36);
    assert.equal(proven.redacted, false);
    assert.equal(proven.checkpoint.cosigners.length, 2);
  }
  assert.equal((await verifyCheckpoint(checkpoint, keys)).size, 7);
});

test("sdk: wrong receipts and unknown keys are refused with a sentence", async () => {
  for (const { why, text } of wrong) {
    await assert.rejects(verifyReceipt(text, keys), ProofError, why);
  }
  const text = right[0]?.text ?? "";
  const refusal = /not signed by a key of this log/;
  await assert.rejects(verifyReceipt(text, keysOfAnotherLog), refusal);
});

test("sdk: former keys verify what they signed together, and no more", async () => {
  for (const { text } of right) await verifyReceipt(text, vectors.keysAfterReplacements);
  const apart = vectors.keysThatNeverServedTogether;
  const refusal = /lacks the cosignatures of two replicas/;
  for (const { text } of right) await assert.rejects(verifyReceipt(text, apart), refusal);
});

test("sdk: no byte of a receipt can be changed, and nothing cut", async () => {
  const text = right[1]?.text ?? "";
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += 1) {
    const altered = bytes.slice();
    altered[at] = (altered[at] ?? 0) ^ (1 << (at % 7));
    await assert.rejects(verifyReceipt(new TextDecoder().decode(altered), keys), `byte ${at}`);
  }
  for (let at = 0; at < text.length; at += 9) {
    await assert.rejects(verifyReceipt(text.slice(0, at), keys), `cut at ${at}`);
  }
});
