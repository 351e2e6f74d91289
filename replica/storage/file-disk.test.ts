// Goal: the same promises on real files: a killed process loses nothing that it was told is
// durable, two processes never share a directory, and a directory is made fast.
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { FileVolume } from "#test/support/file-volume.ts";
import { startWalWriter } from "#test/support/start-wal-writer.ts";
import { testPrepare } from "#test/support/test-volume.ts";
import { FileDisk } from "./file-disk.ts";
import type { Opened } from "./open-storage.ts";

const root = mkdtempSync(join(tmpdir(), "tigerchat-disk-"));
after(() => rmSync(root, { recursive: true }));

async function mustOpen(volume: FileVolume): Promise<Opened> {
  const opened = await volume.open();
  ok(opened.ok, opened.ok ? "" : opened.message);
  return opened;
}

/** Starts the writer and kills it with SIGKILL after `ms`; returns what it had reported. */
async function writeAndKill(directory: string, first: number, ms: number): Promise<string> {
  const child = startWalWriter(directory, { first, bytes: 900 });
  let output = "";
  const closed = new Promise<void>((resolve) => child.on("close", () => resolve()));
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => {
      if (output === "") setTimeout(() => resolve(), ms);
      output += chunk.toString();
    });
    closed.then(resolve);
  });
  child.kill("SIGKILL");
  await closed;
  return output;
}

test("storage: a writer killed with SIGKILL loses nothing that it reported", async () => {
  const directory = join(root, "killed");
  const volume = new FileVolume(directory);
  deepStrictEqual(await volume.format(400), { ok: true });
  await volume.close();
  let first = 1;
  for (const ms of [0, 15, 60]) {
    const lines = (await writeAndKill(directory, first, ms)).trim().split("\n");
    const ops = lines.filter((line) => line.startsWith("op ")).map((line) => Number(line.slice(3)));
    const sequences = lines.filter((line) => line.startsWith("s")).map((l) => Number(l.slice(11)));
    ok(ops.length > 0, "something was acknowledged before the kill");
    const again = new FileVolume(directory);
    const { recovered, storage } = await mustOpen(again);
    const clean = new Set(recovered.slots.map((slot) => (slot.state === "clean" ? slot.op : -1)));
    for (const op of ops) ok(clean.has(op as never), `op ${op} was acknowledged`);
    ok(!clean.has(-1 as never), "a killed process leaves no fault");
    ok(recovered.superblock.sequence >= Math.max(1, ...sequences));
    const newest = Math.max(...ops);
    const { header } = testPrepare(newest, { bytes: 900 + (newest % 7) * 3000 });
    const found = await new Promise((r) => storage.readPrepare(header.op, header.checksum, r));
    ok(found !== null);
    await again.close();
    first = newest + 1;
  }
});

test("storage: a directory has one process; the lock of a killed one is free at once", async () => {
  const directory = join(root, "locked");
  const volume = new FileVolume(directory);
  await volume.format(20);
  await volume.close();
  const child = startWalWriter(directory, { first: 1, bytes: 10 });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const refused = FileDisk.open({ directory });
  ok(!(refused instanceof FileDisk));
  strictEqual(refused.code, "locked");
  match(refused.message, new RegExp(`pid ${child.pid}`));
  const closed = new Promise((resolve) => child.on("close", resolve));
  child.kill("SIGKILL");
  await closed;
  const again = new FileVolume(directory);
  strictEqual(again.disk.directory, directory);
  await again.close();
});

test("storage: 64 MiB are zero-filled within 2 s here, and their size never changes", async () => {
  const directory = join(root, "sized");
  const volume = new FileVolume(directory);
  const startMs = performance.now();
  deepStrictEqual(await volume.format(512), { ok: true });
  ok(performance.now() - startMs < 2000, `${performance.now() - startMs} ms`);
  const bytes = statSync(join(directory, "prepares")).size;
  strictEqual(bytes, 64 * 1024 * 1024);
  const { storage } = await mustOpen(volume);
  const writes = [1, 511, 512].map((op) => {
    return new Promise<void>((done) => storage.writePrepare(testPrepare(op), done));
  });
  await Promise.all(writes);
  strictEqual(statSync(join(directory, "prepares")).size, bytes);
  await volume.close();
});

test("storage: segments live as files and survive a restart; removal unlinks them", async () => {
  const directory = join(root, "segments-live");
  const volume = new FileVolume(directory);
  await volume.format(20);
  const { storage } = await mustOpen(volume);
  const blocks = Array.from({ length: 40 }, (_, i) => new Uint8Array(65_536).fill(i));
  const ids = Array.from({ length: 70 }, (_, i) => `segment-${i}`);
  for (const id of ids.slice(0, 2)) {
    await new Promise<void>((done) => storage.writeSegment(id, blocks, done));
  }
  for (const id of ids.slice(2)) {
    await new Promise<void>((done) => storage.writeSegment(id, blocks.slice(0, 1), done));
  }
  await volume.close();
  const again = new FileVolume(directory);
  const reopened = (await mustOpen(again)).storage;
  const block = await new Promise<Uint8Array | null>((done) => {
    reopened.readBlock("segment-1", 39, done);
  });
  deepStrictEqual(Buffer.from(block ?? []), Buffer.alloc(65_536, 39));
  const reads = ids.map((id) => {
    return new Promise<Uint8Array | null>((done) => reopened.readBlock(id, 0, done));
  });
  const removed = new Promise<void>((done) => reopened.removeSegments(ids, done));
  await removed;
  for (const bytes of await Promise.all(reads)) ok(bytes === null || bytes.length === 65_536);
  ok(!existsSync(join(directory, "segments", "segment-1")));
  strictEqual(
    (await new Promise<readonly string[] | null>((d) => again.disk.listSegments(d)))?.length,
    0,
  );
  await again.close();
});

test("storage: a shortened or lengthened file is a fault of its slots, not a crash", async () => {
  const directory = join(root, "cut");
  const volume = new FileVolume(directory);
  await volume.format(20);
  const { storage } = await mustOpen(volume);
  const writes = [1, 2, 15].map((op) => {
    return new Promise<void>((done) => storage.writePrepare(testPrepare(op), done));
  });
  await Promise.all(writes);
  await new Promise<void>((done) => storage.settle(done));
  await volume.close();
  const path = join(directory, "prepares");
  writeFileSync(path, readFileSync(path).subarray(0, 10 * 131_072 + 5));
  const again = new FileVolume(directory);
  const { recovered } = await mustOpen(again);
  const states = recovered.slots.map((slot) => `${slot.op} ${slot.state}`);
  deepStrictEqual(states, ["0 clean", "1 clean", "2 clean", "15 faulty"]);
  await again.close();
});

test("storage: a directory that cannot be used is one sentence, not a stack", () => {
  const file = join(root, "a-file");
  writeFileSync(file, "");
  const refused = FileDisk.open({ directory: file });
  ok(!(refused instanceof FileDisk));
  strictEqual(refused.code, "io");
  match(refused.message, /cannot be used: .*Look at the disk/);
});
