// Goal: whatever is in a file, the verdict is one of three codes with a sentence; and what was
// changed is never VERIFIED. Method: fast-check alters whole sound files. (Signatures of a note
// have no order and may stand there twice, c2sp.org/signed-note: that changes nothing said.)
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { sha256Bytes } from "#replica/crypto/hash.ts";
import { formatConsistency } from "#replica/proof/consistency.ts";
import { consistencyProof, treeRoot } from "#replica/proof/merkle.ts";
import { formatVerifierKey } from "#replica/proof/note.ts";
import { sampleShard, signedCheckpoint, verifierKeys } from "#test/support/proof-samples.ts";
import { verify } from "./verify.ts";

const folder = mkdtempSync(join(tmpdir(), "tigerchat-verify-fuzz-"));
after(() => rmSync(folder, { recursive: true }));

const path = (name: string) => join(folder, name);
const shard = sampleShard(9);
const { log, logSize } = shard;
const head = (size: number) => signedCheckpoint(size, treeRoot(sha256Bytes, log, size));
const hashes = consistencyProof(sha256Bytes, log, 3, logSize);
const keys = verifierKeys().map(formatVerifierKey).join("\n");
writeFileSync(path("keys"), keys);
writeFileSync(path("seen"), head(3));

const sound = {
  receipt: shard.receipt(4),
  export: shard.exported.join(""),
  consistency: formatConsistency({ oldSize: 3, hashes, checkpoint: head(logSize) }),
};
type Kind = keyof typeof sound;

async function judged(kind: Kind, bytes: Uint8Array, more: readonly string[]): Promise<string> {
  writeFileSync(path("file"), bytes);
  const seen = kind === "consistency" ? ["--seen", path("seen")] : [];
  const { code, lines } = await verify([
    kind,
    path("file"),
    "--key",
    path("keys"),
    ...seen,
    ...more,
  ]);
  assert.ok(lines.length > 0 && lines.every((line) => line.length > 0), kind);
  assert.ok(!lines.join().includes("    at "), lines.join());
  assert.equal(code === 0, lines[0]?.startsWith("VERIFIED: "), lines.join());
  return `${code} ${lines.join("\n")}`;
}

const signature = "\u2014 ";

/** How a file is altered. */
const change = fc.oneof(
  fc.record({ how: fc.constant("flip"), at: fc.nat(), bit: fc.nat({ max: 7 }) }),
  fc.record({ how: fc.constant("cut"), at: fc.nat() }),
  fc.record({ how: fc.constant("swap"), at: fc.nat(), with: fc.nat() }),
  fc.record({ how: fc.constant("double"), at: fc.nat() }),
  fc.record({ how: fc.constant("newlines"), as: fc.constantFrom("\r", "\r\n", "\u2028", "\n\n") }),
  fc.record({ how: fc.constant("behind"), bytes: fc.uint8Array({ minLength: 1, maxLength: 60 }) }),
);

function altered(text: string, what: typeof change extends fc.Arbitrary<infer T> ? T : never) {
  const bytes = Buffer.from(text);
  if ("bit" in what) {
    const at = what.at % bytes.length;
    bytes[at] = (bytes[at] ?? 0) ^ (1 << what.bit);
    return bytes;
  }
  if ("as" in what) return Buffer.from(text.replaceAll("\n", what.as));
  if ("bytes" in what) return Buffer.concat([bytes, what.bytes]);
  if (what.how === "cut") return bytes.subarray(0, what.at % bytes.length);
  const lines = text.split(/(?<=\n)/);
  const at = what.at % lines.length;
  const other = "with" in what ? what.with % lines.length : at;
  const [here = "", there = ""] = [lines[at], lines[other]];
  if (here.startsWith(signature) && there.startsWith(signature)) return bytes;
  if (what.how === "double") return Buffer.from(lines.toSpliced(at, 0, here).join(""));
  return Buffer.from(lines.with(at, there).with(other, here).join(""));
}

for (const kind of ["receipt", "export", "consistency"] as const) {
  test(`verify: fuzz: an altered ${kind} is never verified; a sentence says so`, async () => {
    assert.match(await judged(kind, Buffer.from(sound[kind]), []), /^0 /);
    await fc.assert(
      fc.asyncProperty(change, async (what) => {
        const bytes = altered(sound[kind], what);
        if (bytes.equals(Buffer.from(sound[kind]))) return;
        assert.match(await judged(kind, bytes, []), /^[12] /);
      }),
      { numRuns: 250, interruptAfterTimeLimit: 900 },
    );
  });
}

test("verify: fuzz: any bytes as file, seen and words end with a code and a sentence", async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.string().map((text) => Buffer.from(text)),
  );
  const words = fc.array(
    fc.oneof(fc.string(), fc.constantFrom("--key", "--seen", "export", folder)),
  );
  await fc.assert(
    fc.asyncProperty(bytes, bytes, words, async (file, junk, args) => {
      for (const kind of ["receipt", "export", "consistency"] as const) {
        assert.match(await judged(kind, file, []), /^[12] /);
      }
      writeFileSync(path("junk"), junk);
      const junked = await judged("receipt", Buffer.from(sound.receipt), ["--seen", path("junk")]);
      assert.match(junked, /^2 /);
      const { code, lines } = await verify(args);
      assert.ok(code === 1 || code === 2, lines.join());
      assert.ok(lines.join("").length > 0);
    }),
    { numRuns: 100, interruptAfterTimeLimit: 900 },
  );
});

test("verify: folders, missing files and a line without end are sentences", async () => {
  for (const kind of ["receipt", "export", "consistency"]) {
    const { code, lines } = await verify([
      kind,
      folder,
      "--key",
      path("keys"),
      "--seen",
      path("seen"),
    ]);
    assert.deepEqual([code, lines], [2, [`${folder} is not a file.`]]);
  }
  const { lines } = await verify(["export", path("seen"), "--key", folder]);
  assert.deepEqual(lines, [`${folder} is not a file.`]);
  assert.match(await judged("export", Buffer.alloc(1024 * 1024, "x"), []), /^1 REFUSED: Line 1/);
});

test("verify: a cosigner's time that no calendar has is told, not thrown", async () => {
  const root = treeRoot(sha256Bytes, log, logSize);
  const note = signedCheckpoint(logSize, root, [0, 1], 2 ** 52);
  const text = sound.consistency.replace(head(logSize), note);
  assert.match(await judged("consistency", Buffer.from(text), []), /^0 .*\n.*\n.* ms since 1970/);
});
