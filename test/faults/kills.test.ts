// kill -9 under load. A data directory keeps what the kernel holds, so this is the loss of
// processes; what was written and never synced is lost in faulty-disk.test.ts.
import { ok } from "node:assert/strict";
import { test } from "node:test";
import { pause } from "./pause.ts";
import { type Scenario, underLoad } from "./under-load.ts";

async function killAndRestart({ shard, load }: Scenario, index: number): Promise<void> {
  await shard.replicas[index]?.signal("SIGKILL");
  await load.waitForAcks(30);
  shard.replicas[index]?.start();
  await shard.waitForCaughtUp(index);
}

test("faults: kill -9 of each replica in turn loses nothing", async () => {
  await underLoad("kill each", {}, async (scenario) => {
    for (const index of [0, 1, 2]) await killAndRestart(scenario, index);
  });
});

test("faults: kill -9 of every primary in turn loses nothing", async () => {
  await underLoad("kill primaries", {}, async (scenario) => {
    for (let kill = 0; kill < 4; kill += 1) {
      await killAndRestart(scenario, await scenario.shard.waitForPrimary());
    }
  });
});

test("faults: kill -9 of two at once stops the shard, which goes on when one is back", async () => {
  await underLoad("kill two", {}, async ({ shard, load, history }) => {
    const primary = await shard.waitForPrimary();
    const [first, second] = [primary, (primary + 1) % 3];
    await Promise.all([first, second].map((i) => shard.replicas[i]?.signal("SIGKILL")));
    await pause(300);
    const before = history.acknowledged;
    await pause(700);
    ok(history.acknowledged === before, "one of three must not acknowledge anything");
    shard.replicas[second]?.start();
    await load.waitForAcks(60);
    shard.replicas[first]?.start();
    await shard.waitForCaughtUp(first);
  });
});

test("faults: kill -9 of all three at once, thrice, loses nothing", async () => {
  await underLoad("kill all", {}, async ({ shard, load }) => {
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(shard.replicas.map((replica) => replica.signal("SIGKILL")));
      for (const replica of shard.replicas) replica.start();
      await load.waitForAcks(60);
    }
    for (const index of [0, 1, 2]) await shard.waitForCaughtUp(index);
  });
});

test("faults: kill -9 of the primary in the middle of an upgrade of the machine", async () => {
  await underLoad("kill upgrade", { shard: { upgrade: false } }, async ({ shard, load }) => {
    await load.waitForAcks(30);
    const primary = await shard.waitForPrimary();
    const upgraded = shard.upgrade();
    await pause(60);
    await shard.replicas[primary]?.signal("SIGKILL");
    shard.replicas[primary]?.start();
    ok((await upgraded) === 2, "the newest version runs");
    for (const index of [0, 1, 2]) {
      // One that counts as caught up may still have some ops to run before the upgrade's.
      await shard.waitFor(`replica ${index} to run version 2`, 30_000, async () => {
        return (await shard.status(index))?.machine.version === 2 ? true : null;
      });
      await shard.waitForCaughtUp(index);
    }
    await load.waitForAcks(30);
  });
});

test("faults: SIGSTOP of the primary moves the view; SIGCONT makes it a backup", async () => {
  await underLoad("stop primary", {}, async ({ shard, load }) => {
    for (let round = 0; round < 2; round += 1) {
      const primary = await shard.waitForPrimary();
      await shard.replicas[primary]?.signal("SIGSTOP");
      await load.waitForAcks(60);
      await shard.replicas[primary]?.signal("SIGCONT");
      await shard.waitForCaughtUp(primary);
    }
  });
});

test("faults: SIGSTOP of a backup hinders nobody; SIGCONT lets it catch up", async () => {
  await underLoad("stop backup", {}, async ({ shard, load }) => {
    const primary = await shard.waitForPrimary();
    const backup = (primary + 1) % 3;
    await shard.replicas[backup]?.signal("SIGSTOP");
    await load.waitForAcks(300);
    await shard.replicas[backup]?.signal("SIGCONT");
    await shard.waitForCaughtUp(backup);
  });
});

test("faults: a stopped primary and a killed backup leave no two primaries behind", async () => {
  await underLoad("stop and kill", {}, async ({ shard, load, history }) => {
    const primary = await shard.waitForPrimary();
    const backup = (primary + 1) % 3;
    await shard.replicas[primary]?.signal("SIGSTOP");
    await shard.replicas[backup]?.signal("SIGKILL");
    await pause(300);
    const before = history.acknowledged;
    await pause(500);
    ok(history.acknowledged === before, "one of three must not acknowledge anything");
    shard.replicas[backup]?.start();
    await load.waitForAcks(60);
    await shard.replicas[primary]?.signal("SIGCONT");
    await shard.waitForCaughtUp(primary);
  });
});
