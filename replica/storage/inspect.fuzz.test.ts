// Goal: whatever a data directory holds, inspection ends with a report and changes nothing. Method:
// fast-check damages a small sound directory, file by file: bits, cuts, growth, folders, nothing.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { NodeVault } from "#replica/crypto/node-vault.ts";
import { FileVolume } from "#test/support/file-volume.ts";
import { hostileTexts } from "#test/support/hostile.ts";
import { testPrepare } from "#test/support/test-volume.ts";
import { FileDisk } from "./file-disk.ts";
import { inspectVolume } from "./inspect-volume.ts";
import { inspectionLines } from "./inspection-lines.ts";

const root = mkdtempSync(join(tmpdir(), "tigerchat-inspect-fuzz-"));
after(() => rmSync(root, { recursive: true }));
const sound = join(root, "sound");
const kek = "5a".repeat(32);

before(async () => {
  const volume = new FileVolume(sound);
  await volume.format(20);
  const opened = await volume.open();
  assert.ok(opened.ok);
  const { storage } = opened;
  for (const op of [1, 2]) {
    await new Promise<void>((done) => storage.writePrepare(testPrepare(op, { bytes: 900 }), done));
  }
  await new Promise<void>((done) => storage.writeSegment("history-1", [new Uint8Array(70)], done));
  await new Promise<void>((done) => storage.settle(done));
  await volume.close();
});

const file = fc.constantFrom("superblock", "prepares", "identifiers", "segments/history-1");
const damage = fc.record({
  file,
  how: fc.constantFrom("flip", "flip", "flip", "cut", "grow", "junk", "folder", "gone"),
  // Most of what is read stands at the beginning of a file or of a unit.
  unit: fc.nat({ max: 64 }),
  at: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 4095 })),
  bits: fc.integer({ min: 1, max: 255 }),
});

function apply(
  directory: string,
  {
    file: name,
    how,
    unit,
    at,
    bits,
  }: {
    readonly file: string;
    readonly how: string;
    readonly unit: number;
    readonly at: number;
    readonly bits: number;
  },
): void {
  const path = join(directory, name);
  if (how === "gone" || how === "folder") {
    rmSync(path, { recursive: true, force: true });
    if (how === "folder") mkdirSync(path);
    return;
  }
  if (!isFileAt(path)) return;
  const bytes = readFileSync(path);
  const place = Math.min(unit * 4096 + at, Math.max(0, bytes.length - 1));
  if (how === "cut") truncateSync(path, place);
  else if (how === "grow") writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(at + 1, bits)]));
  else {
    const end = how === "junk" ? place + 64 : place + 1;
    for (let i = place; i < Math.min(end, bytes.length); i += 1) {
      bytes[i] = (bytes[i] ?? 0) ^ bits;
    }
    writeFileSync(path, bytes);
  }
}

function isFileAt(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}

async function inspected(directory: string): Promise<readonly string[]> {
  const disk = FileDisk.open({ directory, readOnly: true });
  assert.ok(disk instanceof FileDisk);
  const keys = join(directory, "keys", "data-keys");
  const vault = NodeVault.open({ file: keys, kek, kekFile: "kek", readOnly: true });
  assert.ok(vault.ok);
  const inspection = await inspectVolume(disk, vault.value);
  await new Promise<void>((done) => disk.close(done));
  vault.value.close();
  return inspectionLines(inspection, true);
}

test("storage: inspect: fuzz: any damage ends with a verdict", async () => {
  assert.match((await inspected(sound)).join("\n"), /verdict +sound/);
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (damages) => {
      const directory = join(root, "damaged");
      rmSync(directory, { recursive: true, force: true });
      cpSync(sound, directory, { recursive: true });
      for (const each of damages) apply(directory, each);
      const lines = await inspected(directory);
      assert.match(lines.at(-1) ?? "", /^verdict {6}[a-z]/);
      assert.ok(lines.every((line) => line.length < 400 && !/undefined|NaN|\[object/.test(line)));
    }),
    { numRuns: 200, interruptAfterTimeLimit: 900 },
  );
});

test("storage: inspect: a file as directory, and a key that is none, are sentences", () => {
  const command = new URL("./inspect.ts", import.meta.url).pathname;
  const said = (...words: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...words]);
    assert.ok(!String(stderr).includes("    at "), String(stderr));
    return `${status} ${stdout}${stderr}`;
  };
  const plain = join(root, "plain");
  writeFileSync(plain, "5a");
  assert.match(said(plain), /^2 .* is not a directory/);
  assert.match(said(sound, "--kek", root), /^2 .*EISDIR/);
});

test("storage: inspect: fuzz: any table of keys opens, or is refused with a sentence", () => {
  const text = readFileSync(join(sound, "keys", "data-keys"), "utf8");
  const junk = join(root, "data-keys");
  for (const one of hostileTexts(text, 3, 200)) {
    writeFileSync(junk, one);
    const vault = NodeVault.open({ file: junk, kek, kekFile: "kek", readOnly: true });
    if (vault.ok) vault.value.close();
    else assert.match(vault.reason, /^[^\n]{10,600}$/);
  }
});
