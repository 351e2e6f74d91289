// A volume as it was some time ago: a snapshot restored by hand, a disk mounted from another day.
import { match, ok } from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pause } from "./pause.ts";
import { type Scenario, underLoad } from "./under-load.ts";
import { within } from "./within.ts";

/** Copies the data directory of a killed replica. */
function copyData({ shard }: Scenario, index: number): string {
  const copy = join(shard.directory, `copy-${index}`);
  cpSync(shard.dataOf(index), copy, { recursive: true });
  return copy;
}

function restoreData({ shard }: Scenario, index: number, copy: string): void {
  rmSync(shard.dataOf(index), { recursive: true });
  cpSync(copy, shard.dataOf(index), { recursive: true });
}

test("faults: a backup's volume rolled back loses nothing while two are up", async () => {
  await underLoad("roll back", {}, async (scenario) => {
    const { shard, load } = scenario;
    const primary = await shard.waitForPrimary();
    const backup = (primary + 1) % 3;
    await shard.replicas[backup]?.signal("SIGKILL");
    const copy = copyData(scenario, backup);
    shard.replicas[backup]?.start();
    await shard.waitForCaughtUp(backup);
    await load.waitForAcks(300);
    await shard.replicas[backup]?.signal("SIGKILL");
    restoreData(scenario, backup, copy);
    shard.replicas[backup]?.start();
    await load.waitForAcks(100);
  });
});

test("faults: a rolled-back backup and a stale one form no view without the primary", async () => {
  await underLoad("roll back beside a lost primary", {}, async (scenario) => {
    const { shard, load, history } = scenario;
    const primary = await shard.waitForPrimary();
    const [backup, stale] = [(primary + 1) % 3, (primary + 2) % 3];
    await shard.replicas[backup]?.signal("SIGKILL");
    const copy = copyData(scenario, backup);
    shard.replicas[backup]?.start();
    const before = (await shard.waitForCaughtUp(backup)).checkpointOp ?? 0;
    await shard.waitFor("a checkpoint", 60_000, async () => {
      return ((await shard.status(backup))?.checkpointOp ?? 0) > before ? true : null;
    });
    // What follows is on the disks of the primary and of the backup only.
    await shard.replicas[stale]?.signal("SIGSTOP");
    await load.waitForAcks(100);
    await Promise.all([primary, backup].map((i) => shard.replicas[i]?.signal("SIGKILL")));
    restoreData(scenario, backup, copy);
    shard.replicas[backup]?.start();
    await shard.replicas[stale]?.signal("SIGCONT");
    await pause(300);
    const acknowledged = history.acknowledged;
    await pause(2_500);
    ok(history.acknowledged === acknowledged, "the two know less than was acknowledged");
    shard.replicas[primary]?.start();
    await load.waitForAcks(100);
    const { state, voting } = (await shard.status(backup)) ?? {};
    ok(voting === false, `the rolled-back volume is ${state} and must not vote`);
  });
});

test("faults: a superblock rolled back under a newer log stops its owner", async () => {
  await underLoad("roll back superblock", {}, async (scenario) => {
    const { shard, load } = scenario;
    const primary = await shard.waitForPrimary();
    const backup = (primary + 1) % 3;
    await shard.replicas[backup]?.signal("SIGKILL");
    const copy = copyData(scenario, backup);
    shard.replicas[backup]?.start();
    await shard.waitForCaughtUp(backup);
    const before = (await shard.status(backup))?.checkpointOp ?? 0;
    await shard.waitFor("three checkpoints", 60_000, async () => {
      return ((await shard.status(backup))?.checkpointOp ?? 0) > before + 360 ? true : null;
    });
    await shard.replicas[backup]?.signal("SIGKILL");
    cpSync(join(copy, "superblock"), join(shard.dataOf(backup), "superblock"));
    const replica = shard.replicas[backup];
    ok(replica !== undefined);
    replica.start();
    const code = await within(replica.waitForExit(), 30_000);
    ok(code !== "late" && code !== 0, `exit code ${code}`);
    await pause(100);
    match(replica.lines.slice(-3).join("\n"), /superblock is older than the log/);
    await load.waitForAcks(60);
  });
});
