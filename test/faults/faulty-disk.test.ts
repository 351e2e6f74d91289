// Failing, slow and forgetful disks under load, through the file system of the folder faulty-fs.
import { match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { TestShardOptions } from "#test/support/test-shard.ts";
import { FaultyDisk } from "./faulty-disk.ts";
import { pause } from "./pause.ts";
import { runDirectory } from "./run-directory.ts";
import { type Scenario, underLoad } from "./under-load.ts";
import { within } from "./within.ts";

interface DiskScenario extends Scenario {
  readonly disks: readonly FaultyDisk[];
  readonly primary: number;
  readonly backup: number;
}

let count = 0;

/** A shard whose replicas each keep their data on a disk that can fail. */
async function withDisks(
  name: string,
  faults: (scenario: DiskScenario) => Promise<void>,
  options: Pick<TestShardOptions, "scrub"> = {},
): Promise<void> {
  const directory = await runDirectory();
  const disks: FaultyDisk[] = [];
  try {
    for (const replica of [0, 1, 2]) {
      count += 1;
      disks.push(await FaultyDisk.start(join(directory, `disk-${count}-${replica}`)));
    }
    const data = disks.map((disk) => join(disk.mount, "data"));
    await underLoad(name, { shard: { data, ...options } }, async (scenario) => {
      const primary = await scenario.shard.waitForPrimary();
      await faults({ ...scenario, disks, primary, backup: (primary + 1) % 3 });
    });
  } finally {
    await Promise.all(disks.map((disk) => disk.close()));
  }
}

/** Waits for the end of a replica that must stop by itself; its exit code and its last line. */
async function endOf({ shard }: Scenario, index: number): Promise<{ code: number; said: string }> {
  const replica = shard.replicas[index];
  ok(replica !== undefined);
  const code = await within(replica.waitForExit(), 30_000);
  if (code === "late") throw new Error(`replica ${index} did not stop`);
  await pause(100);
  return { code: code ?? -1, said: replica.lines.slice(-2).join("\n") };
}

/** A restart opens the admin port only, and says why. */
async function expectPoisoned({ shard }: Scenario, index: number, why: RegExp): Promise<void> {
  shard.replicas[index]?.start();
  const status = await shard.waitFor("the admin port", 20_000, () => shard.status(index));
  strictEqual(status.state, "poisoned");
  match(status.message, why);
  strictEqual(status.voting, false);
}

for (const [operation, zone] of [
  ["sync", "prepares"],
  ["write", "prepares"],
  ["sync", "identifiers"],
] as const) {
  test(`faults: a backup's ${operation} of ${zone} fails: poisoned, two go on`, async () => {
    await withDisks(`EIO ${operation} ${zone}`, async (scenario) => {
      const { disks, backup, load } = scenario;
      await disks[backup]?.fail(operation, zone, 1);
      const { code, said } = await endOf(scenario, backup);
      strictEqual(code, 2);
      match(said, new RegExp(`The disk failed: write of ${zone} at byte \\d+ failed`));
      await load.waitForAcks(60);
      await expectPoisoned(scenario, backup, new RegExp(`write of ${zone} at byte`));
    });
  });
}

test("faults: the primary's sync fails: poisoned, another leads, nothing is lost", async () => {
  await withDisks("EIO sync primary", async (scenario) => {
    const { disks, primary, load } = scenario;
    await disks[primary]?.fail("sync", "prepares", 1);
    const { code } = await endOf(scenario, primary);
    strictEqual(code, 2);
    await load.waitForAcks(60);
    await expectPoisoned(scenario, primary, /write of prepares at byte/);
  });
});

test("faults: a superblock that cannot be synced poisons its volume", async () => {
  await withDisks("EIO sync superblock", async (scenario) => {
    const { disks, primary, backup, shard, load } = scenario;
    await disks[backup]?.fail("sync", "superblock", 1);
    await shard.replicas[primary]?.signal("SIGKILL");
    const { code, said } = await endOf(scenario, backup);
    strictEqual(code, 2);
    match(said, /The disk failed: write of superblock at byte \d+ failed/);
    shard.replicas[primary]?.start();
    await load.waitForAcks(60);
    await expectPoisoned(scenario, backup, /write of superblock at byte/);
  });
});

test("faults: a key table that cannot be synced at the start poisons its volume", async () => {
  await withDisks("EIO sync keys", async (scenario) => {
    const { disks, backup, shard, load } = scenario;
    await shard.replicas[backup]?.signal("SIGKILL");
    await disks[backup]?.fail("sync", "data-keys", 1);
    shard.replicas[backup]?.start();
    const { code, said } = await endOf(scenario, backup);
    match(said, /The disk failed: .*data-keys/);
    strictEqual(code, 2);
    await load.waitForAcks(60);
    await expectPoisoned(scenario, backup, /data-keys/);
  });
});

test("faults: prepares that cannot be read at the start are repaired from the peers", async () => {
  await withDisks("EIO read prepares", async ({ disks, backup, shard, load }) => {
    await shard.replicas[backup]?.signal("SIGKILL");
    await load.waitForAcks(60);
    await disks[backup]?.fail("read", "prepares", 3);
    shard.replicas[backup]?.start();
    await shard.waitForCaughtUp(backup);
    ok(((await disks[backup]?.stats())?.failed ?? 0) > 0, "reads did fail");
  });
});

test("faults: reads that fail while a replica runs are found by the scrub and mended", async () => {
  const options = { scrub: { bytesPerS: 64 * 1024 * 1024 } };
  const scenario = async ({ disks, backup, shard, load }: DiskScenario): Promise<void> => {
    const faults = async (): Promise<number> => {
      const line = /^tigerchat_replica_scrub_faults_total\{.*\} ([0-9]+)$/gm;
      const found = [...(await shard.metrics(backup)).matchAll(line)];
      return found.reduce((sum, [, count]) => sum + Number(count), 0);
    };
    for (const zone of ["prepares", "identifiers", "superblock"]) {
      const before = await faults();
      await disks[backup]?.fail("read", zone, 2);
      await shard.waitFor(`a fault of ${zone}`, 30_000, async () => {
        return (await faults()) > before ? true : null;
      });
      await disks[backup]?.heal();
    }
    await load.waitForAcks(100);
    strictEqual(shard.replicas[backup]?.running, true);
    await shard.waitForCaughtUp(backup);
  };
  await withDisks("EIO read while running", scenario, options);
});

test("faults: a superblock that cannot be read stops its owner with a sentence", async () => {
  await withDisks("EIO read superblock", async (scenario) => {
    const { disks, backup, shard, load } = scenario;
    await shard.replicas[backup]?.signal("SIGKILL");
    await disks[backup]?.fail("read", "superblock", -1);
    shard.replicas[backup]?.start();
    const { code, said } = await endOf(scenario, backup);
    strictEqual(code, 2);
    match(said, /superblock: .* at byte \d+ failed. Look at the disk/);
    await load.waitForAcks(60);
    await disks[backup]?.heal();
    shard.replicas[backup]?.start();
    await shard.waitForCaughtUp(backup);
  });
});

test("faults: one disk whose every sync takes 100 ms longer holds nobody up", async () => {
  await withDisks("slow disk", async ({ disks, backup, load, shard, history }) => {
    const start = { acked: history.acknowledged, ms: performance.now() };
    await disks[backup]?.delay("sync", 100);
    await load.waitForAcks(300);
    const perSecond = (300 * 1000) / (performance.now() - start.ms);
    ok(perSecond > 20, `only ${perSecond.toFixed(0)} posts a second`);
    await disks[backup]?.heal();
    await shard.waitForCaughtUp(backup);
  });
});

test("faults: a primary whose every sync takes 100 ms longer loses nothing", async () => {
  await withDisks("slow primary", async ({ disks, primary, load, shard }) => {
    await disks[primary]?.delay("sync", 100);
    await load.waitForAcks(100);
    await disks[primary]?.heal();
    await shard.waitForCaughtUp(primary);
  });
});

test("faults: power cut of one: what it had not synced is gone, what it acked is not", async () => {
  await withDisks("power cut of one", async ({ disks, shard, load }) => {
    for (const index of [0, 1, 2]) {
      await shard.replicas[index]?.signal("SIGKILL");
      await disks[index]?.drop();
      await load.waitForAcks(30);
      shard.replicas[index]?.start();
      await shard.waitForCaughtUp(index);
    }
  });
});

test("faults: power cut of all three at once, twice, loses nothing acknowledged", async () => {
  await withDisks("power cut of all", async ({ disks, shard, load }) => {
    for (let round = 0; round < 2; round += 1) {
      await Promise.all(shard.replicas.map((replica) => replica.signal("SIGKILL")));
      for (const disk of disks) await disk.drop();
      for (const replica of shard.replicas) replica.start();
      await load.waitForAcks(60);
    }
    for (const index of [0, 1, 2]) await shard.waitForCaughtUp(index);
  });
});

test("faults: failed syncs and a power cut bring nothing un-stored back", async () => {
  await withDisks("sync error, then power cut", async (scenario) => {
    const { disks, primary, shard, load } = scenario;
    await disks[primary]?.fail("sync", "*", -1);
    const { code } = await endOf(scenario, primary);
    strictEqual(code, 2);
    await disks[primary]?.drop();
    await disks[primary]?.heal();
    await load.waitForAcks(60);
    await expectPoisoned(scenario, primary, /failed/);
    strictEqual(shard.replicas[primary]?.running, true);
  });
});
