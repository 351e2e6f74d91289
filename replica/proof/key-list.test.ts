// Goal: receipts of before a replacement verify with the keys of after it, and keys of members who
// followed each other never add up to a quorum.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "#replica/base/prng.ts";
import { sha256Bytes } from "#replica/crypto/hash.ts";
import { proofCrypto } from "#replica/crypto/proof-crypto.ts";
import { publicKeyHex } from "#replica/crypto/ed25519.ts";
import {
  sampleKeys,
  sampleOrigin,
  sampleShard,
  signedCheckpoint,
} from "#test/support/proof-samples.ts";
import { verifyCheckpoint } from "./checkpoint.ts";
import { formatKeyList, parseKeyList, tenureForEver } from "./key-list.ts";
import type { KeyTenure } from "./key-list.ts";
import { verifyReceipt } from "./receipt.ts";

const max = Number.MAX_SAFE_INTEGER;
const publicKeys = sampleKeys.map(publicKeyHex);
const shard = sampleShard(11);

function tenure(replica: number, key: number, from: number, to = max): KeyTenure {
  return { replica, publicKey: publicKeys[key] ?? "", ops: { from, to } };
}

/** Of a public key that signed nothing here. */
function stranger(replica: number, seed: number, from: number, to = max): KeyTenure {
  return { replica, publicKey: seed.toString(16).padStart(64, "0"), ops: { from, to } };
}

function policyOf(tenures: readonly KeyTenure[]) {
  const keys = parseKeyList(sha256Bytes, formatKeyList(sha256Bytes, sampleOrigin, tenures));
  assert.ok(keys.ok, keys.ok ? "" : keys.reason);
  return { keys: keys.value, cosignersMin: 2 };
}

test("keys: a list without replacements has keys only, and comes back as it was", () => {
  const tenures = publicKeys.map((publicKey, replica) => tenureForEver({ replica, publicKey }));
  const text = formatKeyList(sha256Bytes, sampleOrigin, tenures);
  assert.equal(text.split("\n").length, 7);
  assert.ok(!text.includes("#"));
  assert.ok(policyOf(tenures).keys.every(({ ops }) => ops === undefined));
});

test("keys: a receipt of before one, two or three replacements verifies", () => {
  const before = [0, 1, 2].map((replica) => tenure(replica, replica, 0, 100 + replica));
  const now = [0, 1, 2].map((replica) => stranger(replica, 7 + replica, 101 + replica));
  for (let count = 0; count <= 3; count += 1) {
    const rest = before.slice(count).map((each) => ({ ...each, ops: { from: 0, to: max } }));
    const tenures = [...now.slice(0, count), ...rest, ...before.slice(0, count)];
    const verified = verifyReceipt(proofCrypto, shard.receipt(5), policyOf(tenures));
    assert.ok(verified.ok, `${count} replaced`);
    const current = policyOf([...now.slice(0, count), ...rest]);
    const known = verifyReceipt(proofCrypto, shard.receipt(5), current);
    assert.equal(known.ok, count === 0, "without the former keys it does not");
  }
});

test("keys: members who never served together are no two cosigners", () => {
  // The samples are signed by key 0 as the log, cosigned by keys 0 and 1.
  const note = signedCheckpoint(7, shard.logRoot);
  const missing = { ok: false, reason: "cosigners_missing" };
  const apart = [tenure(0, 0, 0, 99), tenure(1, 1, 100), tenure(2, 2, 0)];
  assert.deepEqual(verifyCheckpoint(proofCrypto, note, policyOf(apart)), missing);
  const together = [tenure(0, 0, 0, 100), tenure(1, 1, 100), tenure(2, 2, 0)];
  assert.ok(verifyCheckpoint(proofCrypto, note, policyOf(together)).ok);
  const logGone = [tenure(0, 0, 0, 49), tenure(1, 1, 50), tenure(2, 2, 0)];
  const others = signedCheckpoint(7, shard.logRoot, [1, 2]);
  assert.deepEqual(verifyCheckpoint(proofCrypto, others, policyOf(logGone)), missing);
});

test("keys: any text is a list or is refused with the line, never an exception", () => {
  const text = formatKeyList(sha256Bytes, sampleOrigin, [tenure(0, 0, 0, 9), tenure(0, 1, 10)]);
  const prng = new Prng(5);
  for (let i = 0; i < 3_000; i += 1) {
    const at = prng.below(text.length);
    const letter = String.fromCharCode(prng.below(0x180));
    const changed = text.slice(0, at) + letter + text.slice(at + prng.below(4));
    const parsed = parseKeyList(sha256Bytes, changed);
    if (!parsed.ok) assert.ok(parsed.reason.length > 0 && parsed.reason.length < 500);
    else for (const { ops } of parsed.value) assert.ok(ops === undefined || ops.from <= ops.to);
  }
  for (const wrong of ["x".repeat(300_000), "# ops 9-3\n", "# ops 1-99999999999999999\n", "a+b"]) {
    assert.ok(!parseKeyList(sha256Bytes, wrong).ok, wrong.slice(0, 20));
  }
  assert.deepEqual(parseKeyList(sha256Bytes, "# keys of the shard\n\n"), { ok: true, value: [] });
});
