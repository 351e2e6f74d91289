// Goal: a replacement never leaves a shard with one voter. Method: a real data directory; volumes
// are told by their superblock files, and the mark goes when a replica says that it votes.
import { deepEqual, equal, throws } from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { AdminClient } from "#operator/pki/admin-client.ts";
import { DataDirectory } from "./data-directory.ts";
import { writeShardFiles } from "./fleet-files.ts";
import { isLearning, learningFile, unmarkWhenVoting } from "./learning-mark.ts";
import { readManifest } from "./manifest.ts";
import { setAside } from "./set-aside.ts";

const folder = mkdtempSync(join(tmpdir(), "tigerchat-set-aside-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const example = join(dirname(fileURLToPath(import.meta.url)), "../examples/roomshard.yaml");

test("local: a second replacement is refused until the first new volume votes", async () => {
  const directory = DataDirectory.open(join(folder, "data"), 1, () => "c".repeat(32));
  const ports = Array.from({ length: 12 }, (_, port) => 20_000 + port);
  const plan = writeShardFiles(directory, readManifest(example), ports);
  const shard = plan.manifest.metadata.name;
  const volume = (replica: number): string => {
    return directory.folder("shards", shard, `${shard}-${replica}`, "volume");
  };
  const format = (replica: number) => writeFileSync(join(volume(replica), "superblock"), "");
  for (const replica of [0, 1, 2]) format(replica);
  setAside(directory, [plan], `${shard}-1`);
  // Its process formats the new volume; nobody has seen it vote.
  format(1);
  const refusal = new RegExp(
    `^Refusal: ${shard}-2 cannot be replaced yet: the new volume of ${shard}-1 does not vote`,
  );
  throws(() => setAside(directory, [plan], `${shard}-2`), refusal);
  equal(existsSync(join(volume(2), "superblock")), true, "nothing was moved");
  // The same one again: its new volume may be lost too.
  setAside(directory, [plan], `${shard}-1`);
  format(1);
  const mark = learningFile(directory, shard, `${shard}-1`);
  const told: boolean[] = [];
  const admin = {
    status: () => {
      told.push(isLearning(mark));
      const value = { state: "normal", voting: told.length > 1 };
      return Promise.resolve({ kind: "ok", value });
    },
  } as unknown as AdminClient;
  await unmarkWhenVoting(mark, admin);
  deepEqual(told, [true, true]);
  setAside(directory, [plan], `${shard}-2`);
  const moved = readdirSync(dirname(volume(2))).filter((name) => name.startsWith("volume.repl"));
  equal(moved.length, 1);
  directory.release();
});
