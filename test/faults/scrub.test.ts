// Bytes flipped in the files of a running replica, in places that nobody reads: the background
// scrub finds and repairs each, from the replica's own copies or from its peers. Nothing restarts.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { checkHistory } from "./check-history.ts";
import { flipBytes } from "./flip-bytes.ts";
import { History } from "./history.ts";
import { judgeByPorcupine } from "./porcupine.ts";
import { runDirectory } from "./run-directory.ts";
import { TestShard } from "#test/support/test-shard.ts";
import { rootFolder } from "#test/tidy/source.ts";
import { Workload } from "./workload.ts";

const slotBytes = 128 * 1024;
const copyBytes = 16 * 1024;
const slots = 256;
const zones = ["superblock", "identifiers", "prepares", "segments"] as const;

/** Faults that the scrub has found so far, by zone. */
async function found(shard: TestShard, index: number): Promise<Record<string, number>> {
  const text = await shard.metrics(index);
  const line = /^tigerchat_replica_scrub_faults_total\{.*zone="([a-z]+)".*\} ([0-9]+)$/gm;
  return Object.fromEntries([...text.matchAll(line)].map(([, zone, n]) => [zone, Number(n)]));
}

async function rounds(shard: TestShard, index: number): Promise<number> {
  const text = await shard.metrics(index);
  return Number(/^tigerchat_replica_scrub_rounds_total(?:\{.*\})? ([0-9]+)$/m.exec(text)?.[1] ?? 0);
}

/** Verdict of the inspection with the key: every body is opened. */
function inspected(shard: TestShard, index: number): string {
  const main = join(rootFolder, "replica", "storage", "inspect.ts");
  const args = [main, shard.dataOf(index), "--kek", shard.config.files.kek];
  const done = spawnSync(process.execPath, args, { encoding: "utf8" });
  return done.stdout + done.stderr;
}

/** Fills rooms until there are segments and slots that no checkpoint has reached; then rest. */
async function fill(shard: TestShard, history: History): Promise<void> {
  const load = await Workload.start(shard, history, { clients: 6, pauseMs: 1 });
  await shard.waitFor("segments and a log", 90_000, async () => {
    const all = await Promise.all([0, 1, 2].map((index) => shard.status(index)));
    return all.every((one) => {
      return (one?.checkpointOp ?? 0) > 0 && (one?.head ?? 0) > (one?.checkpointOp ?? 0) + 20;
    })
      ? true
      : null;
  });
  await load.stop();
  await load.readAll();
}

test("faults: a scrub finds and repairs cold damage of a running replica", async () => {
  const directory = await runDirectory();
  const shard = await TestShard.start({
    directory,
    walSizeBytes: slots * slotBytes,
    timing: { heartbeatMs: 40, suspectMs: 300, viewChangeMs: 450 },
    scrub: { bytesPerS: 256 * 1024 * 1024 },
  });
  const history = new History();
  try {
    await fill(shard, history);
    const primary = await shard.waitForPrimary();
    const pids = shard.replicas.map((replica) => replica.pid);
    for (const index of [primary, (primary + 1) % 3]) await damageAndWait(shard, index);
    deepStrictEqual(
      shard.replicas.map((replica) => replica.pid),
      pids,
      "nothing restarts",
    );
    strictEqual(await shard.waitForPrimary(), primary);
    const load = await Workload.start(shard, history);
    await load.waitForAcks(100);
    await load.stop();
    await load.readAll();
    deepStrictEqual(checkHistory(history), []);
    strictEqual(await judgeByPorcupine(history), null);
  } finally {
    await shard.close();
  }
});

/** Damages one byte in each kind of file, waits until the scrub has found all, inspects. */
async function damageAndWait(shard: TestShard, index: number): Promise<void> {
  await shard.waitForCaughtUp(index);
  const before = await found(shard, index);
  const status = await shard.status(index);
  const op = (status?.checkpointOp ?? 0) + 5;
  ok(op < (status?.head ?? 0));
  const data = shard.dataOf(index);
  const [segment] = readdirSync(join(data, "segments")).filter((name) => !name.startsWith("m"));
  ok(segment !== undefined, "there is a segment");
  const damage: Readonly<Record<(typeof zones)[number], () => void>> = {
    superblock: () => flipBytes(join(data, "superblock"), [copyBytes + 300]),
    identifiers: () => flipBytes(join(data, "identifiers"), [100, 4096 + 100]),
    prepares: () => flipBytes(join(data, "prepares"), [(op % slots) * slotBytes + 500]),
    segments: () => flipBytes(join(data, "segments", segment), [20, 8192 + 64 + 3]),
  };
  for (const zone of zones) damage[zone]();
  let looks = 0;
  await shard.waitFor(`the damage of ${index} to be found`, 60_000, async () => {
    const now = await found(shard, index);
    const missing = zones.filter((zone) => (now[zone] ?? 0) <= (before[zone] ?? 0));
    looks += 1;
    // A replica rewrites its superblock and identifiers now and then, and with them the damage.
    const again = missing.filter((zone) => zone === "superblock" || zone === "identifiers");
    if (looks % 100 === 0) for (const zone of again) damage[zone]();
    return missing.length === 0 ? true : null;
  });
  const seen = await rounds(shard, index);
  await shard.waitFor("two more rounds", 60_000, async () => {
    return (await rounds(shard, index)) >= seen + 2 ? true : null;
  });
  const text = inspected(shard, index);
  ok(text.includes("verdict      sound"), text);
}
