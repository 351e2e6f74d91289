// Receipts, exports, checkpoints and consistency proofs: what is right is accepted, and every
// change of one character, entry or tree is refused and named.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { sha256Bytes } from "#replica/crypto/hash.ts";
import { proofCrypto } from "#replica/crypto/proof-crypto.ts";
import {
  sampleEntries,
  sampleOrigin,
  sampleRoom,
  sampleShard,
  signedCheckpoint,
  verifierKeys,
} from "#test/support/proof-samples.ts";
import { receiptVectors } from "#test/support/receipt-vectors.ts";
import { base64From, bytesFromBase64 } from "./base64.ts";
import { verifyCheckpoint } from "./checkpoint.ts";
import { formatConsistency, verifyExtends } from "./consistency.ts";
import { consistencyProof, treeRoot } from "./merkle.ts";
import { formatVerifierKey, parseNote, parseVerifierKey } from "./note.ts";
import { entryLeaf, formatReceipt, verifyReceipt } from "./receipt.ts";
import { ExportVerifier, formatExportEntry } from "./room-export.ts";

const policy = { keys: verifierKeys(), cosignersMin: 2 };

/** Signatures of the samples do not change: one real check each, the rest from memory. */
function remembering() {
  const known = new Map<string, boolean>();
  return {
    sha256: sha256Bytes,
    verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => {
      const id = [key, message, signature].map(base64From).join();
      const answer = known.get(id) ?? proofCrypto.verify(key, message, signature);
      known.set(id, answer);
      return answer;
    },
  };
}

function judge(lines: readonly string[]) {
  const verifier = new ExportVerifier(crypto, policy);
  for (const line of lines) if (!verifier.take(line.replace(/\n$/, ""))) break;
  return verifier.finish();
}

const crypto = remembering();
const shard = sampleShard(11);

test("proof: base64 is canonical both ways", () => {
  for (let length = 0; length < 70; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255);
    assert.equal(base64From(bytes), Buffer.from(bytes).toString("base64"));
    assert.deepEqual(bytesFromBase64(base64From(bytes)), bytes);
  }
  for (const wrong of ["A", "AAA", "AB==", "AAB=", "A===", "====", "AA=A", "AA A", "AA\n="]) {
    assert.equal(bytesFromBase64(wrong), null, wrong);
  }
});

test("proof: a receipt of every entry verifies and says what it proves", () => {
  for (let seq = 1; seq <= 11; seq += 1) {
    const verified = verifyReceipt(crypto, shard.receipt(seq), policy);
    assert.ok(verified.ok, verified.ok ? "" : verified.reason);
    assert.equal(verified.value.entry.seq, seq);
    assert.deepEqual(verified.value.name, sampleRoom);
    assert.equal(verified.value.checkpoint.origin, sampleOrigin);
    assert.equal(verified.value.checkpoint.cosigners.length, 2);
  }
});

test("proof: a redacted entry keeps its receipt", () => {
  const [entry] = shard.entries;
  assert.ok(entry);
  const head = 48 + (entry[2] ?? 0);
  const redacted = Uint8Array.from([
    ...entry.subarray(0, head),
    ...sha256Bytes(entry.subarray(head)),
  ]);
  redacted[3] = 1;
  const leaf = entryLeaf(crypto, sampleRoom, entry);
  assert.deepEqual(entryLeaf(crypto, sampleRoom, redacted), leaf);
  const text = formatReceipt({ ...shard.receiptOf(1), entry: redacted });
  const verified = verifyReceipt(crypto, text, policy);
  assert.ok(verified.ok && verified.value.entry.redacted);
});

test("proof: no bit of a receipt can be flipped", () => {
  const bytes = Buffer.from(shard.receipt(5));
  for (let at = 0; at < bytes.length; at += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const altered = Buffer.from(bytes);
      altered[at] = (altered[at] ?? 0) ^ (1 << bit);
      const text = altered.toString("utf8");
      const verified = verifyReceipt(crypto, text, policy);
      assert.ok(!verified.ok, `byte ${at}, bit ${bit} was not noticed`);
    }
  }
});

test("proof: nothing can be cut from a receipt or put behind it", () => {
  const text = shard.receipt(5);
  for (let at = 0; at < text.length; at += 1) {
    assert.ok(!verifyReceipt(crypto, text.slice(0, at), policy).ok, `cut at ${at}`);
  }
  assert.ok(!verifyReceipt(crypto, `${text}x`, policy).ok);
  assert.ok(!verifyReceipt(crypto, `${text}\n`, policy).ok);
});

test("proof: a receipt is refused with its cause", () => {
  const receipt = shard.receiptOf(5);
  const [one = new Uint8Array(0), two = one] = sampleEntries(2);
  const cases = [
    [{ ...receipt, entry: two }, "entry_not_in_room"],
    [{ ...receipt, entry: one.subarray(0, 20) }, "entry_malformed"],
    [{ ...receipt, name: { tenant: "acme", room: "other" } }, "room_not_in_log"],
    [{ ...receipt, roomSize: 12 }, "room_not_in_log"],
    [{ ...receipt, roomProof: receipt.roomProof.slice(1) }, "entry_not_in_room"],
    [{ ...receipt, logIndex: 4 }, "room_not_in_log"],
    [{ ...receipt, checkpoint: signedCheckpoint(7, shard.logRoot, [1]) }, "cosigners_missing"],
    [{ ...receipt, checkpoint: signedCheckpoint(7, shard.logRoot, [1, 1]) }, "cosigners_missing"],
    [{ ...receipt, checkpoint: "nothing" }, "note_malformed"],
  ] as const;
  for (const [altered, reason] of cases) {
    const verified = verifyReceipt(crypto, formatReceipt(altered), policy);
    const said = verified.ok ? "accepted" : verified.reason;
    // A proof of the wrong shape is found in the room, one of the wrong content only in the log.
    const alike = reason === "entry_not_in_room" && said === "room_not_in_log";
    assert.ok(said === reason || alike, `${said} instead of ${reason}`);
  }
  const others = verifierKeys("tigerchat.dev/other/log/1");
  const unknown = verifyReceipt(crypto, shard.receipt(5), { keys: others, cosignersMin: 2 });
  assert.deepEqual(unknown, { ok: false, reason: "log_unsigned" });
});

test("proof: an export verifies; a flipped bit anywhere is refused", () => {
  const verdict = judge(shard.exported);
  assert.ok(verdict.ok, verdict.ok ? "" : verdict.message);
  assert.equal(verdict.size, 11);
  const bytes = Buffer.from(shard.exported.join(""));
  for (let at = 0; at < bytes.length - 1; at += 1) {
    const altered = Buffer.from(bytes);
    altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
    const lines = altered.toString("utf8").split("\n").slice(0, -1);
    assert.ok(!judge(lines).ok, `byte ${at} was not noticed`);
  }
});

test("proof: an altered, missing, swapped or repeated entry of an export is named", () => {
  const lines = shard.exported;
  const message = (altered: readonly string[]): string => {
    const verdict = judge(altered);
    return verdict.ok ? "accepted" : `${verdict.code}: ${verdict.message}`;
  };
  const without = (from: number, count: number) => lines.toSpliced(from, count);
  assert.equal(message(without(4, 1)), "entry_missing: Entry 4 is missing.");
  assert.equal(message(without(4, 3)), "entry_missing: Entries 4-6 are missing.");
  assert.equal(message(without(11, 1)), "entry_missing: Entry 11 is missing at the end.");
  assert.equal(message(without(10, 2)), "entry_missing: Entries 10-11 are missing at the end.");
  const [fourth = "", fifth = ""] = lines.slice(4, 6);
  const swapped = lines.toSpliced(4, 2, fifth, fourth);
  assert.equal(message(swapped), "entries_swapped: Entries 4 and 5 are swapped.");
  const twice = lines.toSpliced(5, 0, fourth);
  assert.equal(message(twice), "entry_repeated: Entry 4 stands where entry 5 belongs.");
  const more = [...lines, fifth];
  assert.equal(message(more), "entry_repeated: Entry 5 is behind the end.");
  const renamed = lines.toSpliced(5, 1, fifth.replace('"seq":5', '"seq":4'));
  assert.equal(message(renamed), "entry_repeated: Entry 4 stands where entry 5 belongs.");
  const [, , third = new Uint8Array(0)] = shard.entries;
  const changed = Uint8Array.from(third);
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  const leaf = entryLeaf(crypto, sampleRoom, third);
  const altered = lines.toSpliced(3, 1, formatExportEntry(3, changed, leaf));
  assert.match(message(altered), /^entry_altered: Entry 3 was altered/);
  // Who mends the leaf as well is found out by the root that the shard signed.
  const mended = formatExportEntry(3, changed, entryLeaf(crypto, sampleRoom, changed));
  assert.match(message(lines.toSpliced(3, 1, mended)), /^history_differs: /);
  const other = lines[0]?.replace('"room":"lobby"', '"room":"other"') ?? "";
  assert.match(message(lines.toSpliced(0, 1, other)), /^entry_altered: Entry 1 was altered/);
});

test("proof: checkpoints that extend each other are accepted, a fork is named", () => {
  const { log, logSize } = shard;
  const newer = { size: logSize, root: treeRoot(sha256Bytes, log, logSize) };
  for (let oldSize = 1; oldSize <= logSize; oldSize += 1) {
    const known = {
      origin: sampleOrigin,
      size: oldSize,
      root: treeRoot(sha256Bytes, log, oldSize),
    };
    const hashes = consistencyProof(sha256Bytes, log, oldSize, logSize);
    const checkpoint = signedCheckpoint(newer.size, newer.root);
    const text = formatConsistency({ oldSize, hashes, checkpoint });
    const verified = verifyExtends(crypto, known, text, policy);
    assert.ok(verified.ok, verified.ok ? "" : verified.reason);
    const forked = { ...known, root: sha256Bytes(known.root) };
    const fork = verifyExtends(crypto, forked, text, policy);
    assert.deepEqual(fork, { ok: false, reason: "fork" });
  }
  const known = { origin: sampleOrigin, size: 9, root: newer.root };
  const text = formatConsistency({
    oldSize: 9,
    hashes: [],
    checkpoint: signedCheckpoint(newer.size, newer.root),
  });
  assert.deepEqual(verifyExtends(crypto, known, text, policy), { ok: false, reason: "older" });
  const elsewhere = { ...known, origin: "tigerchat.dev/other/log/1" };
  const other = verifyExtends(crypto, elsewhere, text, policy);
  assert.deepEqual(other, { ok: false, reason: "other_log" });
});

test("proof: verifier keys come back from their text, and a wrong one is refused", () => {
  for (const key of verifierKeys()) {
    const text = formatVerifierKey(key);
    const again = parseVerifierKey(sha256Bytes, text);
    assert.ok(again.ok);
    assert.deepEqual(again.value, key);
    for (let at = 0; at < text.length; at += 1) {
      const altered = `${text.slice(0, at)}${text[at] === "b" ? "c" : "b"}${text.slice(at + 1)}`;
      assert.ok(!parseVerifierKey(sha256Bytes, altered).ok, altered);
    }
  }
});

test("proof: the vectors of the SDKs are what this makes", () => {
  const path = new URL("../../edge/api/vectors/receipts.json", import.meta.url);
  const committed: unknown = JSON.parse(readFileSync(path, "utf8"));
  assert.deepEqual(committed, JSON.parse(JSON.stringify(receiptVectors())));
});

test("proof: notes of many shapes are refused without an exception", () => {
  const checkpoint = signedCheckpoint(7, shard.logRoot);
  assert.ok(verifyCheckpoint(crypto, checkpoint, policy).ok);
  assert.deepEqual(verifyCheckpoint(crypto, checkpoint.replaceAll("\u2014", "-"), policy), {
    ok: false,
    reason: "note_malformed",
  });
  const extended = checkpoint.replace("\n\n", "\nmore\n\n");
  assert.deepEqual(verifyCheckpoint(crypto, extended, policy), {
    ok: false,
    reason: "checkpoint_malformed",
  });
  const moved = checkpoint.replace("\n7\n", "\n8\n");
  assert.deepEqual(verifyCheckpoint(crypto, moved, policy), {
    ok: false,
    reason: "signature_wrong",
  });
  for (const text of ["", "\n", "\n\n", "a\n\n\u2014 b\n", "a\u0000\n\n\u2014 b AAAAAAA=\n"]) {
    assert.ok(!parseNote(text).ok, JSON.stringify(text));
  }
});
