// Bytes flipped in the data directory of a minority while its owner is down. Allowed: repaired, or
// the owner stops with a sentence that names file, byte and remedy. Never: something acknowledged
// is lost, or the two others stop.
import { match, ok } from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { everyByte, flipBytes } from "./flip-bytes.ts";
import { pause } from "./pause.ts";
import { type Scenario, underLoad } from "./under-load.ts";
import { within } from "./within.ts";

const slotBytes = 128 * 1024;
const unitBytes = 4096;
const copyBytes = 16 * 1024;
const slots = 256;
/**
 * A damaged slot so close to the head may hold an op that nobody knows of, so its owner asks the
 * others before it votes; with all three asking nobody could answer.
 */
const reachOps = 40;
/** Enough that a checkpoint has been written: one every 120 ops. */
const segmentsLimitMs = 60_000;

async function waitForSegments({ shard }: Scenario, index: number): Promise<void> {
  await shard.waitFor("a checkpoint", segmentsLimitMs, async () => {
    return ((await shard.status(index))?.checkpointOp ?? 0) > 0 ? true : null;
  });
}

/** Kills a backup, damages its files, starts it again. */
async function damageBackup(
  scenario: Scenario,
  damage: (data: string) => void,
): Promise<{ readonly backup: number; readonly other: number }> {
  const { shard, load } = scenario;
  const primary = await shard.waitForPrimary();
  const [backup, other] = [(primary + 1) % 3, (primary + 2) % 3];
  await waitForSegments(scenario, backup);
  await shard.replicas[backup]?.signal("SIGKILL");
  damage(shard.dataOf(backup));
  await load.waitForAcks(30);
  shard.replicas[backup]?.start();
  return { backup, other };
}

/** The damaged replica is whole again: without the third one it holds half of the quorum. */
async function expectRepaired(scenario: Scenario, damage: (data: string) => void): Promise<void> {
  const { shard, load } = scenario;
  const { backup, other } = await damageBackup(scenario, damage);
  await shard.waitForCaughtUp(backup);
  await shard.replicas[other]?.signal("SIGKILL");
  await load.waitForAcks(60);
  shard.replicas[other]?.start();
  await shard.waitForCaughtUp(other);
}

/** The damaged replica stops with a sentence; the two others do not care. */
async function expectRefusal(
  scenario: Scenario,
  damage: (data: string) => void,
  sentence: RegExp,
): Promise<void> {
  const { shard, load } = scenario;
  const { backup } = await damageBackup(scenario, damage);
  const replica = shard.replicas[backup];
  ok(replica !== undefined);
  const code = await within(replica.waitForExit(), 30_000);
  ok(code !== "late" && code !== 0 && code !== 70, `exit code ${code}`);
  await pause(100);
  match(replica.lines.slice(-3).join("\n"), sentence);
  await load.waitForAcks(60);
}

/** Either of the two ends that are allowed. */
async function expectRepairedOrNamed(
  scenario: Scenario,
  damage: (data: string) => void,
  sentence: RegExp,
): Promise<void> {
  const { shard, load } = scenario;
  const { backup } = await damageBackup(scenario, damage);
  const replica = shard.replicas[backup];
  const outcome = await shard.waitFor("repair or refusal", 30_000, async () => {
    if (replica?.running === false) return replica.lines.slice(-3).join("\n");
    return (await shard.status(backup))?.caughtUp === true ? "repaired" : null;
  });
  if (outcome !== "repaired") match(outcome, sentence);
  await load.waitForAcks(60);
}

for (const copies of [[0], [2, 3]]) {
  test(`faults: flips in superblock copies ${copies.join(", ")} are healed`, async () => {
    await underLoad(`flip superblock ${copies.join(" ")}`, {}, async (scenario) => {
      await expectRepaired(scenario, (data) => {
        const offsets = copies.map((copy) => copy * copyBytes + 300);
        flipBytes(join(data, "superblock"), offsets);
      });
    });
  });
}

test("faults: flips in all superblock copies of a backup stop it with a sentence", async () => {
  await underLoad("flip superblock all", {}, async (scenario) => {
    const damage = (data: string): void => {
      flipBytes(
        join(data, "superblock"),
        [0, 1, 2, 3].map((copy) => copy * copyBytes + 300),
      );
    };
    const sentence = /superblock is damaged \(byte \d+: .*\)\. Replace this replica's volume/;
    await expectRefusal(scenario, damage, sentence);
  });
});

test("faults: a flip in every slot of a backup's prepares is repaired", async () => {
  await underLoad("flip every slot", {}, async (scenario) => {
    await expectRepaired(scenario, (data) => {
      const path = join(data, "prepares");
      flipBytes(path, everyByte(path, slotBytes, 500));
    });
  });
});

test("faults: a flip in the trailer of every unit of a backup's prepares is repaired", async () => {
  await underLoad("flip every unit", {}, async (scenario) => {
    await expectRepaired(scenario, (data) => {
      const path = join(data, "prepares");
      flipBytes(path, everyByte(path, unitBytes, unitBytes - 20));
    });
  });
});

test("faults: a flip in every sector of a backup's identifiers is repaired", async () => {
  await underLoad("flip identifiers", {}, async (scenario) => {
    await expectRepaired(scenario, (data) => {
      const path = join(data, "identifiers");
      flipBytes(path, everyByte(path, unitBytes, 100));
    });
  });
});

test("faults: both rings of a backup flipped all over are repaired or named", async () => {
  await underLoad("flip both rings", {}, async (scenario) => {
    const damage = (data: string): void => {
      for (const zone of ["prepares", "identifiers"]) {
        const path = join(data, zone);
        flipBytes(path, everyByte(path, unitBytes, 1000));
      }
    };
    const sentence = /slots of prepares \(byte 0 on\).*Replace this replica's volume/;
    await expectRepairedOrNamed(scenario, damage, sentence);
  });
});

test("faults: flips in a backup's segments are repaired or named", async () => {
  await underLoad("flip segments", {}, async (scenario) => {
    const damage = (data: string): void => {
      const folder = join(data, "segments");
      const names = readdirSync(folder);
      ok(names.length > 0, "there are segments");
      for (const name of names) {
        const path = join(folder, name);
        flipBytes(path, everyByte(path, 64 * 1024, 2 * unitBytes + 70));
      }
    };
    const sentence = /segments\/\S+.*eplace this replica's volume/;
    await expectRepairedOrNamed(scenario, damage, sentence);
  });
});

test("faults: flips in a backup's key table stop it with a sentence", async () => {
  await underLoad("flip keys", {}, async (scenario) => {
    const damage = (data: string): void => {
      const path = join(data, "keys", "data-keys");
      flipBytes(path, everyByte(path, 64, 10));
    };
    await expectRefusal(scenario, damage, /data-keys.*(estore|eplace)/);
  });
});

test("faults: other slots flipped on each of the three lose nothing", async () => {
  await underLoad("flip helically", {}, async (scenario) => {
    const { shard, load } = scenario;
    const [first, last] = await shard.waitFor("a long log", segmentsLimitMs, async () => {
      const all = await Promise.all([0, 1, 2].map((index) => shard.status(index)));
      const low = Math.max(...all.map((status) => status?.checkpointOp ?? 0)) + 1;
      const high = Math.min(...all.map((status) => status?.head ?? 0)) - reachOps;
      return high - low > 30 ? ([low, high] as const) : null;
    });
    await Promise.all(shard.replicas.map((replica) => replica.signal("SIGKILL")));
    for (const index of [0, 1, 2]) {
      const ops = Array.from({ length: last - first + 1 }, (_, n) => first + n);
      const mine = ops.filter((op) => op % 3 === index);
      const offsets = mine.map((op) => (op % slots) * slotBytes + 500);
      flipBytes(join(shard.dataOf(index), "prepares"), offsets);
    }
    for (const replica of shard.replicas) replica.start();
    await load.waitForAcks(60);
    for (const index of [0, 1, 2]) await shard.waitForCaughtUp(index);
  });
});
