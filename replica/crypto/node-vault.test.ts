// Goal: no (key, nonce) pair repeats, whatever happens to the process or the volume; a wrong or
// rotated key-encryption key is told apart; damage never decrypts.
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { utf8From } from "#replica/base/text.ts";
import { NodeVault } from "./node-vault.ts";
import type { Sealed } from "./vault.ts";

const directory = mkdtempSync(join(tmpdir(), "tigerchat-vault-"));
after(() => rmSync(directory, { recursive: true }));
let files = 0;

const kekFile = "/etc/tigerchat/kek";

function newFile(): string {
  files += 1;
  return join(directory, `keys-${files}`, "data-keys");
}

const kek = "5a".repeat(32);
const aad = utf8From("slot 3");
const plain = utf8From("nobody reads this");

function opened(file: string, key: string = kek): NodeVault {
  const vault = NodeVault.open({ file, kek: key, kekFile });
  ok(vault.ok, vault.ok ? "" : vault.reason);
  return vault.value;
}

function rotate(vault: NodeVault, keep: readonly number[]): Promise<string> {
  return new Promise((resolve) => vault.rotate(keep, resolve));
}

test("crypto: what a vault sealed opens under the same key and additional data only", () => {
  const vault = opened(newFile());
  const sealed = vault.seal("wal", aad, plain);
  deepStrictEqual(Buffer.from(vault.open(sealed, aad) ?? []), Buffer.from(plain));
  ok(!Buffer.from(sealed.cipher).includes("reads"));
  strictEqual(vault.open(sealed, utf8From("slot 4")), null);
  const bad: Sealed[] = [
    { ...sealed, keyId: sealed.keyId + 1 },
    { ...sealed, counter: sealed.counter + 1 },
    { ...sealed, tag: sealed.tag.map((byte, i) => (i === 3 ? byte ^ 1 : byte)) },
    { ...sealed, cipher: sealed.cipher.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) },
    { ...sealed, tag: sealed.tag.subarray(1) },
  ];
  for (const one of bad) strictEqual(vault.open(one, aad), null);
  vault.close();
});

test("crypto: every boot and rotation has a key of its own; old data stays readable", async () => {
  const file = newFile();
  const sealed: Sealed[] = [];
  const seen = new Set<string>();
  for (let boot = 0; boot < 4; boot += 1) {
    const vault = opened(file);
    for (const one of sealed) ok(vault.open(one, aad) !== null);
    for (let round = 0; round < 3; round += 1) {
      for (const purpose of ["wal", "segment", "wal"] as const) {
        const one = vault.seal(purpose, aad, plain);
        ok(!seen.has(`${one.keyId}/${one.counter}`), "a pair repeats");
        seen.add(`${one.keyId}/${one.counter}`);
        sealed.push(one);
      }
      strictEqual(
        await rotate(
          vault,
          sealed.map((one) => one.keyId),
        ),
        "ok",
      );
    }
    vault.close();
  }
});

test("crypto: a volume rolled back to an older table never repeats a ciphertext's key", () => {
  const file = newFile();
  opened(file).close();
  copyFileSync(file, `${file}.old`);
  const first = opened(file);
  const before = first.seal("wal", aad, plain);
  first.close();
  copyFileSync(`${file}.old`, file);
  const second = opened(file);
  const again = second.seal("wal", aad, plain);
  second.close();
  // Same number and nonce after the rollback, but a new random key: other bytes.
  deepStrictEqual([again.keyId, again.counter], [before.keyId, before.counter]);
  ok(!Buffer.from(again.cipher).equals(Buffer.from(before.cipher)));
});

test("crypto: rotation forgets log keys that no slot needs, and only those", async () => {
  const vault = opened(newFile());
  const [first, segment] = [vault.seal("wal", aad, plain), vault.seal("segment", aad, plain)];
  await rotate(vault, [first.keyId]);
  const second = vault.seal("wal", aad, plain);
  await rotate(vault, [second.keyId]);
  strictEqual(vault.open(first, aad), null);
  ok(vault.open(second, aad) !== null && vault.open(segment, aad) !== null);
  for (let round = 0; round < 3000; round += 500) {
    for (let i = 0; i < 50; i += 1) await rotate(vault, []);
    ok(vault.keysCount <= 4, "the table stays small");
  }
  vault.close();
});

test("crypto: another key-encryption key is refused; beside the old one it rotates", () => {
  const file = newFile();
  const before = opened(file);
  const sealed = before.seal("wal", aad, plain);
  before.close();
  const other = "6b".repeat(32);
  const bytes = readFileSync(file);
  const wrong = NodeVault.open({ file, kek: other, kekFile });
  ok(!wrong.ok);
  ok(readFileSync(file).equals(bytes), "a wrong key changes nothing");
  match(wrong.reason, /key in \/etc\/tigerchat\/kek is not the one that wrapped .*data-keys/);
  const rotated = opened(file, `${other}\n${kek}\n`);
  ok(rotated.open(sealed, aad) !== null);
  rotated.close();
  const after = opened(file, other);
  ok(after.open(sealed, aad) !== null);
  after.close();
  ok(!NodeVault.open({ file, kek, kekFile }).ok, "the old key opens nothing any more");
  for (const bad of ["", "zz", "5a".repeat(31)])
    ok(!NodeVault.open({ file, kek: bad, kekFile }).ok);
});

test("crypto: a start under a new key-encryption key leaves no copy under the former one", () => {
  const file = newFile();
  opened(file).close();
  const next = "6b".repeat(32);
  opened(file, `${next}\n${kek}\n`).close();
  const bytes = readFileSync(file);
  for (const copy of [0, 512 * 1024]) {
    const bad = Buffer.from(bytes);
    bad[copy + 130] = (bad[copy + 130] ?? 0) ^ 4;
    writeFileSync(file, bad);
    ok(NodeVault.open({ file, kek: next, kekFile, readOnly: true }).ok, "either copy is enough");
  }
});

test("crypto: one copy that decays costs no key of any purpose", async () => {
  const file = newFile();
  const vault = opened(file);
  const sealed = [vault.seal("wal", aad, plain), vault.seal("segment", aad, plain)];
  strictEqual(await rotate(vault, [1]), "ok");
  sealed.push(vault.seal("wal", aad, plain));
  vault.close();
  const bytes = readFileSync(file);
  for (const copy of [0, 512 * 1024]) {
    const bad = Buffer.from(bytes);
    bad[copy + 130] = (bad[copy + 130] ?? 0) ^ 4;
    writeFileSync(file, bad);
    const again = opened(file);
    for (const one of sealed) ok(again.open(one, aad) !== null);
    again.close();
  }
});

test("crypto: a first write of keys that power cuts leaves no bad table", () => {
  const file = newFile();
  opened(file).close();
  // What such a cut leaves: the new file's name only, whatever is in it.
  writeFileSync(`${file}.new`, readFileSync(file).subarray(0, 4096));
  rmSync(file);
  const vault = opened(file);
  const sealed = vault.seal("wal", aad, plain);
  vault.close();
  const again = opened(file);
  ok(again.open(sealed, aad) !== null);
  again.close();
});

test("crypto: the key-encryption key changes under a vault that works, in both copies", () => {
  const file = newFile();
  const vault = opened(file);
  const sealed = [vault.seal("wal", aad, plain), vault.seal("segment", aad, plain)] as const;
  const next = "7c".repeat(32);
  ok(!vault.rewrap("no key", kekFile).ok);
  deepStrictEqual(vault.rewrap(`${kek}\n`, kekFile), { ok: true, value: "same" });
  deepStrictEqual(vault.rewrap(`${next}\n${kek}\n`, kekFile), { ok: true, value: "rewrapped" });
  const after = [vault.seal("wal", aad, plain), vault.seal("segment", aad, plain)] as const;
  ok(after[1].keyId > sealed[1].keyId, "segments get a data key that the old one never wrapped");
  strictEqual(after[0].keyId, sealed[0].keyId);
  for (const one of [...sealed, ...after]) ok(vault.open(one, aad) !== null);
  vault.close();
  ok(!NodeVault.open({ file, kek, kekFile, readOnly: true }).ok, "the old key opens no copy");
  const bytes = readFileSync(file);
  for (const copy of [0, 512 * 1024]) {
    const bad = Buffer.from(bytes);
    bad[copy + 130] = (bad[copy + 130] ?? 0) ^ 4;
    writeFileSync(file, bad);
    ok(NodeVault.open({ file, kek: next, kekFile, readOnly: true }).ok, "either copy is enough");
  }
  writeFileSync(file, bytes);
  const again = NodeVault.open({ file, kek: next, kekFile });
  ok(again.ok);
  for (const one of [...sealed, ...after]) ok(again.value.open(one, aad) !== null);
  again.value.close();
});

test("crypto: a table damaged in one copy opens from the other; in both it is refused", () => {
  const file = newFile();
  const vault = opened(file);
  const sealed = vault.seal("wal", aad, plain);
  vault.seal("segment", aad, plain);
  vault.close();
  const bytes = readFileSync(file);
  const copies = [0, 512 * 1024];
  for (const copy of copies) {
    for (const at of [0, 5, 20, 33, 70, 130, 150, 190]) {
      const bad = Buffer.from(bytes);
      bad[copy + at] = (bad[copy + at] ?? 0) ^ 4;
      writeFileSync(file, bad);
      const found = NodeVault.open({ file, kek, kekFile, readOnly: true });
      ok(found.ok, `byte ${copy + at}`);
      // The copy before the segment's key still has the log's key.
      ok(found.value.open(sealed, aad) !== null);
    }
  }
  const bad = Buffer.from(bytes);
  for (const copy of copies) bad[copy + 130] = (bad[copy + 130] ?? 0) ^ 4;
  writeFileSync(file, bad);
  const refused = NodeVault.open({ file, kek, kekFile });
  ok(!refused.ok);
  match(refused.reason, /damaged in both copies; replace/);
});

test("crypto: data keys never stand in the clear in the table", () => {
  const file = newFile();
  const vault = opened(file);
  vault.seal("wal", aad, plain);
  vault.close();
  const bytes = readFileSync(file);
  ok(!bytes.includes(Buffer.from(kek, "hex")));
  strictEqual(bytes.length, 1024 * 1024);
});
