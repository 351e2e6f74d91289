// Keys change while a shard serves: nothing is lost, nobody waits, each change is counted, and the
// wrong key is named.
import { match, ok } from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { randomHex } from "#operator/pki/proof.ts";
import type { TestShard } from "#test/support/test-shard.ts";
import { underLoad } from "./under-load.ts";
import { within } from "./within.ts";

const indexes = [0, 1, 2] as const;

/** Waits until every replica has counted so many rotations of a kind. */
async function rotations(shard: TestShard, kind: string, outcome: string, count: number) {
  const line = `tigerchat_replica_key_rotations_total{kind="${kind}",outcome="${outcome}"}`;
  await shard.waitFor(`${count} ${line}`, 20_000, async () => {
    const texts = await Promise.all(indexes.map((index) => shard.metrics(index)));
    return texts.every((text) => text.includes(`${line} ${count}\n`)) ? true : null;
  });
}

test("faults: the key-encryption key changes twice while the shard serves", async () => {
  await underLoad("rotate the key-encryption key", {}, async ({ shard, load }) => {
    const { kek } = shard.config.files;
    const first = readFileSync(kek, "utf8");
    const [second, third] = [randomHex(32), randomHex(32)];
    writeFileSync(kek, `${second}\n${first}\n`);
    await rotations(shard, "kek", "done", 1);
    // From here on the former key is not needed by anybody.
    writeFileSync(kek, `${third}\n`);
    await rotations(shard, "kek", "done", 2);
    await load.waitForAcks(100);
    for (const index of indexes) {
      await shard.replicas[index]?.signal("SIGKILL");
      shard.replicas[index]?.start();
      await shard.waitForCaughtUp(index);
    }
    writeFileSync(kek, "not a key\n");
    await rotations(shard, "kek", "refused", 1);
    const replica = shard.replicas[0];
    ok(replica !== undefined);
    // The two that run take the new key; the one that was down does not know the old one any more.
    await replica.signal("SIGTERM");
    writeFileSync(kek, first);
    replica.start();
    ok(Number(await within(replica.waitForExit(), 20_000)) > 0);
    await shard.waitFor("last words", 5_000, async () => {
      return replica.lines.at(-1)?.includes("gave up") === true ? true : null;
    });
    const said = replica.lines.at(-1) ?? "";
    match(said, /The key-encryption key in [^ ]*kek[^ ]* is not the one that wrapped .*data-keys/);
    writeFileSync(kek, `${first}\n${third}\n`);
    replica.start();
    await shard.waitForCaughtUp(0);
  });
});

test("faults: certificates and the trust bundle change while the shard serves", async () => {
  await underLoad("rotate certificates", {}, async ({ shard, load }) => {
    for (const index of indexes) await shard.certify(index);
    await rotations(shard, "certificate", "done", 1);
    const { trust } = shard.config.files;
    writeFileSync(trust, `${readFileSync(trust, "utf8")}\n`);
    await rotations(shard, "trust", "done", 1);
    await load.waitForAcks(100);
    const primary = await shard.waitForPrimary();
    await shard.replicas[primary]?.signal("SIGKILL");
    await load.waitForAcks(100);
    shard.replicas[primary]?.start();
    await shard.waitForCaughtUp(primary);
  });
});
