// The failing disk itself: what it says is lost is lost, what was synced is not.
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { closeSync, constants, existsSync, fsyncSync, openSync } from "node:fs";
import { mkdirSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { FaultyDisk } from "./faulty-disk.ts";
import { runDirectory } from "./run-directory.ts";

async function withDisk(name: string, work: (disk: FaultyDisk) => Promise<void>): Promise<void> {
  const disk = await FaultyDisk.start(join(await runDirectory(), `disk-${name}`));
  try {
    await work(disk);
  } finally {
    await disk.close();
  }
  strictEqual(existsSync(join(disk.mount, "file")), false, "unmounted");
}

function syncPath(path: string): void {
  const handle = openSync(path, "r");
  fsyncSync(handle);
  closeSync(handle);
}

function writeAt(path: string, text: string, at: number, flags: number): void {
  const handle = openSync(path, flags | constants.O_RDWR | constants.O_CREAT, 0o600);
  writeSync(handle, text, at);
  closeSync(handle);
}

test("faults: the disk drops un-synced writes and keeps O_DSYNC ones", async () => {
  await withDisk("drop", async (disk) => {
    const path = join(disk.mount, "file");
    writeAt(path, "a".repeat(8192), 0, 0);
    syncPath(path);
    syncPath(disk.mount);
    writeAt(path, "b".repeat(100), 0, 0);
    writeAt(path, "c".repeat(100), 5000, constants.O_DSYNC);
    writeAt(path, "d".repeat(100), 8192, 0);
    strictEqual((await disk.stats()).pages, 2);
    deepStrictEqual(await disk.drop(), { pages: 2, entries: 0 });
    const left = readFileSync(path, "utf8");
    strictEqual(left.length, 8192);
    strictEqual(left.slice(0, 200), "a".repeat(200));
    strictEqual(left.slice(5000, 5100), "c".repeat(100));
  });
});

test("faults: the disk undoes names whose folder was not synced", async () => {
  await withDisk("names", async (disk) => {
    const [old, aside] = [join(disk.mount, "old"), join(disk.mount, "new")];
    mkdirSync(join(disk.mount, "deep"));
    writeFileSync(old, "before");
    syncPath(old);
    syncPath(disk.mount);
    writeFileSync(aside, "after");
    syncPath(aside);
    renameSync(aside, old);
    strictEqual(readFileSync(old, "utf8"), "after");
    await disk.drop();
    strictEqual(readFileSync(old, "utf8"), "before");
    strictEqual(existsSync(aside), false);
    ok(existsSync(join(disk.mount, "deep")));
  });
});

test("faults: the disk refuses what it was told to refuse, as often as told", async () => {
  await withDisk("refuse", async (disk) => {
    const path = join(disk.mount, "file");
    writeAt(path, "x".repeat(4096), 0, constants.O_DSYNC);
    await disk.fail("sync", "file", 1);
    const synced = await open(path, constants.O_RDWR | constants.O_DSYNC);
    await rejects(synced.write("y", 0), /EIO/);
    await synced.write("z", 0);
    await synced.close();
    await disk.fail("read", "other", -1);
    strictEqual(readFileSync(path, "utf8")[0], "z");
    await disk.fail("read", "file", -1);
    const plain = await open(path);
    await rejects(plain.read(Buffer.alloc(10), 0, 10, 0), /EIO/);
    await disk.heal();
    await plain.read(Buffer.alloc(10), 0, 10, 0);
    await plain.close();
    strictEqual((await disk.stats()).failed >= 2, true);
  });
});
