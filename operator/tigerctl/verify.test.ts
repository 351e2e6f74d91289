// Goal: the command accepts what holds, and refuses with a sentence that names what does not.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { sha256Bytes } from "#replica/crypto/hash.ts";
import { formatConsistency } from "#replica/proof/consistency.ts";
import { consistencyProof, treeRoot } from "#replica/proof/merkle.ts";
import { formatVerifierKey } from "#replica/proof/note.ts";
import { sampleShard, signedCheckpoint, verifierKeys } from "#test/support/proof-samples.ts";
import { verify } from "./verify.ts";

const folder = mkdtempSync(join(tmpdir(), "tigerchat-verify-"));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const shard = sampleShard(9);
const keys = file("keys", verifierKeys().map(formatVerifierKey).join("\n"));

async function said(...args: readonly string[]): Promise<string> {
  const { code, lines } = await verify([...args, "--key", keys]);
  return `${code} ${lines.join("\n")}`;
}

test("verify: a receipt and an export hold, from files alone", async () => {
  const receipt = file("4.tlog-proof", shard.receipt(4));
  assert.match(await said("receipt", receipt), /^0 VERIFIED: entry 4 of 9 in room "lobby"/);
  const exported = file("room.ndjson", shard.exported.join(""));
  assert.match(await said("export", exported), /^0 VERIFIED: entries 1-9 of room "lobby"/);
  const [one = ""] = verifierKeys().map(formatVerifierKey);
  const few = await verify(["receipt", receipt, "--key", one]);
  assert.match(few.lines.join(), /lacks the cosignatures/);
});

test("verify: what was altered is refused with code 1 and named", async () => {
  const receipt = file("bit.tlog-proof", shard.receipt(4).replace("index 5", "index 4"));
  assert.match(await said("receipt", receipt), /^1 REFUSED: The room's root is not in/);
  const removed = file("removed.ndjson", shard.exported.toSpliced(3, 1).join(""));
  assert.equal(await said("export", removed), "1 REFUSED: Entry 3 is missing.");
  const [third = "", fourth = ""] = shard.exported.slice(3, 5);
  const swapped = file("swap.ndjson", shard.exported.toSpliced(3, 2, fourth, third).join(""));
  assert.equal(await said("export", swapped), "1 REFUSED: Entries 3 and 4 are swapped.");
});

test("verify: a fork of the shard's log is named", async () => {
  const { log, logSize } = shard;
  const rootOf = (size: number) => treeRoot(sha256Bytes, log, size);
  const hashes = consistencyProof(sha256Bytes, log, 3, logSize);
  const checkpoint = signedCheckpoint(logSize, rootOf(logSize));
  const proof = file("more", formatConsistency({ oldSize: 3, hashes, checkpoint }));
  const seen = file("seen", signedCheckpoint(3, rootOf(3)));
  const forked = file("forked", signedCheckpoint(3, rootOf(4)));
  assert.match(await said("consistency", proof, "--seen", seen), /^0 VERIFIED: 7 leaves extend/);
  assert.match(await said("consistency", proof, "--seen", forked), /^1 REFUSED: FORK/);
  const receipt = file("r", shard.receipt(2));
  const other = file("other", signedCheckpoint(logSize, rootOf(3)));
  assert.match(await said("receipt", receipt, "--seen", receipt), /^0 VERIFIED/);
  assert.match(await said("receipt", receipt, "--seen", other), /^1 REFUSED: FORK/);
});

test("verify: what cannot be checked ends with code 2 and a sentence", async () => {
  assert.match(await said("receipt", join(folder, "none")), /^2 There is no file/);
  assert.match(await said("something", keys), /^2 verify receipt FILE/);
  assert.match(await said("receipt"), /^2 verify receipt FILE/);
  const bare = await verify(["receipt", keys]);
  assert.match(bare.lines.join(), /Name the shard's keys/);
  const wrong = await verify(["receipt", keys, "--key", "a+b+c"]);
  assert.match(wrong.lines.join(), /Not a verifier key/);
});
