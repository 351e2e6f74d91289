// Goal: a data directory is held by one run, and what is wrong with it is said in one sentence.
// Method: real folders and a real child process in a temporary directory.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DataDirectory } from "./data-directory.ts";
import { identityOf, isAlive } from "./process-identity.ts";

const cluster = "0".repeat(32);

function inTemporary(body: (folder: string) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), "tigerchat-data-"));
    try {
      await body(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

test(
  "local: a new directory keeps its shards; another number is refused",
  inTemporary((folder) => {
    const made = DataDirectory.open(join(folder, "a"), 2, () => cluster);
    assert.equal(made.isNew, true);
    made.release();
    const again = DataDirectory.open(join(folder, "a"), null, () => assert.fail("a second id"));
    assert.deepEqual(again.fleet, { format: 1, cluster, shards: 2 });
    again.release();
    assert.throws(() => DataDirectory.open(join(folder, "a"), 3, () => cluster), /--shards 2/);
  }),
);

test(
  "local: a foreign, a corrupt and a busy directory are refused with a remedy",
  inTemporary((folder) => {
    writeFileSync(join(folder, "thesis.txt"), "mine");
    assert.throws(
      () => DataDirectory.open(folder, null, () => cluster),
      /not made by this program/,
    );
    assert.equal(readFileSync(join(folder, "thesis.txt"), "utf8"), "mine");
    const path = join(folder, "b");
    const held = DataDirectory.open(path, null, () => cluster);
    assert.throws(() => DataDirectory.open(path, null, () => cluster), /in use by process/);
    held.release();
    for (const text of ["{", "{}", "[]"]) {
      writeFileSync(join(path, "tigerchat-local.json"), text);
      assert.throws(() => DataDirectory.open(path, null, () => cluster), /corrupt; restore/);
    }
    writeFileSync(join(path, "tigerchat-local.json"), JSON.stringify({ format: 2 }));
    assert.throws(() => DataDirectory.open(path, null, () => cluster), /version that made it/);
  }),
);

test(
  "local: processes of a killed run are ended by the next, and only those",
  inTemporary(async (folder) => {
    const left = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"]);
    const other = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"]);
    const ended = new Promise((resolve) => left.once("exit", resolve));
    const path = join(folder, "c");
    DataDirectory.open(path, null, () => cluster).release();
    const children = [identityOf(left.pid ?? 0), { pid: other.pid ?? 0, started: "another time" }];
    const owner = { pid: 2 ** 22 + 1, started: "0" };
    writeFileSync(join(path, "run.json"), JSON.stringify({ owner, children }));
    DataDirectory.open(path, null, () => cluster).release();
    await ended;
    assert.equal(isAlive(identityOf(other.pid ?? 0)), true);
    other.kill("SIGKILL");
    assert.equal(existsSync(join(path, "run.json")), false);
  }),
);
