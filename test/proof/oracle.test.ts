// Goal: trees, proofs and notes of ours are those of other people's code. Method: a Go program over
// golang.org/x/mod/sumdb/{tlog,note} judges what we made, and makes what we judge.
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { utf8From } from "#replica/base/text.ts";
import { sha256Bytes } from "#replica/crypto/hash.ts";
import { proofCrypto } from "#replica/crypto/proof-crypto.ts";
import { base64From } from "#replica/proof/base64.ts";
import { checkpointText, verifyCheckpoint } from "#replica/proof/checkpoint.ts";
import { Frontier } from "#replica/proof/frontier.ts";
import { parseLogProof } from "#replica/proof/log-proof.ts";
import { consistencyProof, inclusionProof, leafHash, treeRoot } from "#replica/proof/merkle.ts";
import { formatVerifierKey, parseVerifierKey } from "#replica/proof/note.ts";
import { goProgram } from "#test/faults/go-program.ts";
import { tryCommand } from "#test/kubernetes/process/command.ts";
import {
  sampleOrigin,
  sampleShard,
  signedCheckpoint,
  subtreesOf,
  verifierKeys,
} from "#test/support/proof-samples.ts";

interface Said {
  readonly answer: unknown;
  readonly error?: string;
}

/** What the program answers to each claim. */
async function ask(claims: readonly object[]): Promise<readonly Said[]> {
  const program = await goProgram("oracle", dirname(fileURLToPath(import.meta.url)));
  const input = claims.map((claim) => `${JSON.stringify(claim)}\n`).join("");
  const { code, stdout, stderr } = await tryCommand(program, [], { input });
  assert.equal(code, 0, stderr);
  const answers: Said[] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(answers.length, claims.length);
  return answers;
}

const sizeMax = 300;
const values = Array.from({ length: sizeMax }, (_, i) => utf8From(`entry ${i}`));
const leaves = values.map((value) => leafHash(sha256Bytes, value));

test("oracle: trees of all sizes to 300 have equal roots and proofs", async () => {
  const subtree = subtreesOf(leaves);
  const claims: object[] = [];
  const sums: string[] = [];
  const frontier = Frontier.empty(sha256Bytes);
  for (let size = 1; size <= sizeMax; size += 1) {
    frontier.append(leaves[size - 1] ?? new Uint8Array(32));
    const root = treeRoot(sha256Bytes, subtree, size);
    assert.deepEqual(frontier.root(), root);
    claims.push({
      Kind: "tree",
      Size: size,
      Root: base64From(root),
      Leaves: values.slice(0, size).map(base64From),
    });
    const all: Uint8Array[] = [];
    for (let at = 0; at < size; at += 1) {
      all.push(...inclusionProof(sha256Bytes, subtree, at, size));
      all.push(...consistencyProof(sha256Bytes, subtree, at + 1, size));
    }
    sums.push(base64From(sha256Bytes(Buffer.concat(all))));
  }
  const answers = await ask(claims);
  answers.forEach(({ answer, error }, i) => {
    assert.equal(error, undefined, `size ${i + 1}`);
    assert.equal(answer, sums[i], `proofs of size ${i + 1}`);
  });
});

test("oracle: our checkpoint opens there with all three signatures", async () => {
  const shard = sampleShard(11);
  const Keys = verifierKeys().map(formatVerifierKey);
  const parsed = parseLogProof(shard.receipt(3));
  assert.ok(parsed.ok);
  const Note = parsed.value.checkpoint;
  const forged = Note.replace(`\n${shard.logSize}\n`, `\n${shard.logSize + 1}\n`);
  const [right, wrong, all] = await ask([
    { Kind: "open", Note, Keys },
    { Kind: "open", Note: forged, Keys },
    { Kind: "open", Note: signedCheckpoint(1, shard.logRoot, [0, 1, 2]), Keys },
  ]);
  assert.deepEqual(right?.answer, {
    origin: sampleOrigin,
    signatures: 3,
    size: String(shard.logSize),
  });
  assert.match(wrong?.error ?? "", /invalid signature/);
  assert.deepEqual(all?.answer, { origin: sampleOrigin, signatures: 4, size: "1" });
});

test("oracle: proofs of a receipt check there; changed ones do not", async () => {
  const shard = sampleShard(11, 13);
  const { logProof, logIndex } = shard.receiptOf(4);
  const leaf = shard.log(logIndex, 1);
  const Proof = logProof.map(base64From);
  const Root = base64From(shard.logRoot);
  const claim = { Kind: "inclusion", Size: 13, Index: logIndex, Proof, Root };
  const Old = 5;
  const extended = {
    Kind: "consistency",
    Size: 13,
    Root,
    Old,
    OldRoot: base64From(treeRoot(sha256Bytes, shard.log, Old)),
    Proof: consistencyProof(sha256Bytes, shard.log, Old, 13).map(base64From),
  };
  const [inclusion, moved, consistency, fork] = await ask([
    { ...claim, Leaf: base64From(leaf) },
    { ...claim, Leaf: base64From(leaf), Index: logIndex - 1 },
    extended,
    { ...extended, OldRoot: base64From(leaf) },
  ]);
  assert.equal(inclusion?.error, undefined);
  assert.ok(moved?.error);
  assert.equal(consistency?.error, undefined);
  assert.ok(fork?.error);
});

test("oracle: notes signed there verify here, and altered ones do not", async () => {
  const root = treeRoot(sha256Bytes, subtreesOf(leaves), 77);
  const claims = [1, 2, 3, 4].map((seed) => ({
    Kind: "sign",
    Seed: base64From(new Uint8Array(32).fill(seed)),
    Name: sampleOrigin,
    Text: checkpointText({ origin: sampleOrigin, size: 77, root }),
  }));
  for (const [i, { answer }] of (await ask(claims)).entries()) {
    const { note, key } = answer as { readonly note: string; readonly key: string };
    const parsed = parseVerifierKey(sha256Bytes, key);
    assert.ok(parsed.ok);
    if (i < 3) assert.equal(key, formatVerifierKey(verifierKeys()[2 * i] ?? parsed.value));
    const policy = { keys: [parsed.value], cosignersMin: 0 };
    const verified = verifyCheckpoint(proofCrypto, note, policy);
    assert.ok(verified.ok && verified.value.size === 77);
    const altered = verifyCheckpoint(proofCrypto, note.replace("\n77\n", "\n78\n"), policy);
    assert.deepEqual(altered, { ok: false, reason: "signature_wrong" });
  }
});
