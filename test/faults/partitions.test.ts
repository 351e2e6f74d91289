// Partitions between network namespaces. Clients reach all three replicas throughout, so a primary
// that is cut off goes on being asked, and must not answer what it cannot commit.
import { ok } from "node:assert/strict";
import { test } from "node:test";
import { FaultNetwork, type Loss } from "./fault-network.ts";
import { pause } from "./pause.ts";
import { type Scenario, underLoad } from "./under-load.ts";

interface NetScenario extends Scenario {
  readonly network: FaultNetwork;
  readonly primary: number;
  readonly backups: readonly [number, number];
}

async function withNetwork(
  name: string,
  faults: (scenario: NetScenario) => Promise<void>,
): Promise<void> {
  await FaultNetwork.with(async (network) => {
    await underLoad(name, { shard: { network } }, async (scenario) => {
      const primary = await scenario.shard.waitForPrimary();
      const backups = [(primary + 1) % 3, (primary + 2) % 3] as const;
      await faults({ ...scenario, network, primary, backups });
      await network.heal();
      for (const index of [0, 1, 2]) await scenario.shard.waitForCaughtUp(index);
    });
  });
}

function cut(from: number, to: number): Loss {
  return { from, to, percent: 100 };
}

function apart(a: number, b: number): readonly Loss[] {
  return [cut(a, b), cut(b, a)];
}

test("faults: a primary cut off from both backups is replaced, nothing is lost", async () => {
  await withNetwork("isolated primary", async ({ network, primary, backups, load }) => {
    const [a, b] = backups;
    await network.set([...apart(primary, a), ...apart(primary, b)]);
    await load.waitForAcks(200);
    ok((await network.dropped(primary)) > 0, "the cut was real");
  });
});

test("faults: a backup cut off hinders nobody and catches up when healed", async () => {
  await withNetwork("isolated backup", async ({ network, primary, backups, load }) => {
    const [a, b] = backups;
    await network.set([...apart(a, primary), ...apart(a, b)]);
    await load.waitForAcks(300);
  });
});

test("faults: all three apart acknowledge nothing, and go on when healed", async () => {
  await withNetwork("all apart", async ({ network, load, history }) => {
    await network.set([...apart(0, 1), ...apart(1, 2), ...apart(0, 2)]);
    await pause(500);
    const before = history.acknowledged;
    await pause(1_000);
    ok(history.acknowledged === before, "nobody has a quorum");
    await network.heal();
    await load.waitForAcks(60);
  });
});

test("faults: a primary that hears nobody but is heard is replaced", async () => {
  await withNetwork("deaf primary", async ({ network, primary, backups, load }) => {
    await network.set(backups.map((backup) => cut(backup, primary)));
    await load.waitForAcks(200);
  });
});

test("faults: a primary that is heard by nobody but hears all is replaced", async () => {
  await withNetwork("mute primary", async ({ network, primary, backups, load }) => {
    await network.set(backups.map((backup) => cut(primary, backup)));
    await load.waitForAcks(200);
  });
});

test("faults: a backup that hears nobody but is heard does not stop the shard", async () => {
  await withNetwork("deaf backup", async ({ network, primary, backups, load }) => {
    const [a, b] = backups;
    await network.set([cut(primary, a), cut(b, a)]);
    await load.waitForAcks(300);
  });
});

test("faults: primary and one backup apart, the third between: the shard goes on", async () => {
  await withNetwork("bridge", async ({ network, primary, backups, load }) => {
    await network.set(apart(primary, backups[0]));
    await load.waitForAcks(300);
  });
});

test("faults: one packet of five lost between all replicas loses no message", async () => {
  await withNetwork("lossy", async ({ network, load }) => {
    const pairs = [0, 1, 2].flatMap((from) => [0, 1, 2].map((to) => ({ from, to, percent: 20 })));
    await network.set(pairs.filter(({ from, to }) => from !== to));
    await load.waitForAcks(200, 60_000);
  });
});

test("faults: cuts that wander every 400 ms, with kills, lose nothing", async () => {
  await withNetwork("wandering", async ({ network, shard, load }) => {
    for (let turn = 0; turn < 9; turn += 1) {
      const [a, b, c] = [turn % 3, (turn + 1) % 3, (turn + 2) % 3];
      if (turn % 3 === 0) await network.set([...apart(a, b), ...apart(a, c)]);
      else if (turn % 3 === 1) await network.set([cut(a, b), cut(c, b)]);
      else await network.set([cut(a, b), cut(b, c), cut(c, a)]);
      await pause(400);
      if (turn % 4 === 3) {
        await shard.replicas[a]?.signal("SIGKILL");
        shard.replicas[a]?.start();
      }
    }
    await network.heal();
    await load.waitForAcks(60);
  });
});
