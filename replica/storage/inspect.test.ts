// Goal: the command shows what a data directory holds and where it is damaged, and changes nothing.
import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { FileVolume } from "#test/support/file-volume.ts";
import { nextSuperblock, testPrepare } from "#test/support/test-volume.ts";
import { sha256 } from "#replica/crypto/hash.ts";

const root = mkdtempSync(join(tmpdir(), "tigerchat-inspect-"));
after(() => rmSync(root, { recursive: true }));
const command = new URL("./inspect.ts", import.meta.url).pathname;
const kek = join(root, "kek");
writeFileSync(kek, `${"5a".repeat(32)}\n`);

function inspect(...arguments_: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [command, ...arguments_], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}

function contents(directory: string): readonly string[] {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true });
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return `${path} ${statSync(path).mtimeMs} ${sha256(readFileSync(path))}`;
    });
}

async function livedIn(directory: string): Promise<void> {
  const volume = new FileVolume(directory);
  await volume.format(20);
  const opened = await volume.open();
  if (!opened.ok) throw new Error(opened.message);
  const { storage, recovered } = opened;
  const writes = [1, 2, 3, 4, 5].map((op) => {
    return new Promise<void>((done) =>
      storage.writePrepare(testPrepare(op, { bytes: 5000 }), done),
    );
  });
  await Promise.all(writes);
  const state = nextSuperblock(recovered.superblock, { view: 3, logView: 3 });
  await new Promise<void>((done) => storage.writeSuperblock(state, done));
  const blocks = [new Uint8Array(70), new Uint8Array(60_000)];
  await new Promise<void>((done) => storage.writeSegment("history-1", blocks, done));
  await new Promise<void>((done) => storage.settle(done));
  await volume.close();
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

test("storage: inspect shows a sound directory and leaves it alone", async () => {
  const directory = join(root, "sound");
  await livedIn(directory);
  const before = contents(directory);
  const plain = await inspect(directory);
  strictEqual(plain.code, 0, plain.output);
  match(plain.output, /view 3, log_view 3/);
  match(plain.output, /20 slots of 128 KiB: 6 clean, ops 0 to 5, 14 empty/);
  match(plain.output, /1 files, 2 blocks/);
  match(plain.output, /not decrypted/);
  const keyed = await inspect(directory, "--kek", kek);
  strictEqual(keyed.code, 0, keyed.output);
  match(keyed.output, /decrypted and checked/);
  deepStrictEqual(contents(directory), before);
});

test("storage: inspect names file and byte of every damage", async () => {
  const directory = join(root, "damaged");
  await livedIn(directory);
  flip(join(directory, "prepares"), 3 * 131_072 + 4096 + 9);
  flip(join(directory, "superblock"), 16_384 + 200);
  flip(join(directory, "identifiers"), 50);
  flip(join(directory, "segments", "history-1"), 8192 + 64 + 70 + 64 + 5);
  const before = contents(directory);
  const { code, output } = await inspect(directory);
  strictEqual(code, 1);
  match(output, /fault +prepares byte 397312: op 3, slot 3/);
  match(output, /fault +superblock byte 16384: copy 1/);
  match(output, /fault +identifiers byte 0/);
  match(output, /fault +segments\/history-1 byte 8326: block 1 is damaged/);
  deepStrictEqual(contents(directory), before);
});

test("storage: inspect answers for empty, missing and wrongly keyed directories", async () => {
  const directory = join(root, "keyed");
  await livedIn(directory);
  const other = join(root, "other");
  writeFileSync(other, "6b".repeat(32));
  match((await inspect(directory, "--kek", other)).output, /is not the one that wrapped/);
  match((await inspect(join(root, "nowhere"))).output, /is not a directory/);
  match((await inspect()).output, /usage/);
  const empty = await inspect(mkdtempSync(join(root, "empty-")));
  match(empty.output, /not formatted/);
  strictEqual(empty.code, 1);
});
