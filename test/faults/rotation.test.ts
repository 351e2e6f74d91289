// Keys change while a shard serves: nothing is lost, nobody waits, each change is counted, and the
// wrong key is named.
import { match, ok, strictEqual } from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "node:tls";
import { randomHex } from "#operator/pki/proof.ts";
import { dialOptions, type TlsMaterial } from "#replica/transport/tls-options.ts";
import type { TestShard } from "#test/support/test-shard.ts";
import { pause } from "./pause.ts";
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

/** True when a peer port says hello to who comes with that key and certificate. */
async function isGreeted(shard: TestShard, port: number, tls: TlsMaterial): Promise<boolean> {
  const socket = connect(dialOptions(tls, shard.config.peers[0]?.host ?? "", port));
  return await new Promise((resolve) => {
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(false));
    socket.on("data", () => {
      resolve(true);
      socket.destroy();
    });
  });
}

/** Key and certificate as they lie on a volume. */
function identityOn(shard: TestShard, index: number): TlsMaterial {
  const read = (name: string) => readFileSync(join(shard.dataOf(index), "keys", name), "utf8");
  return { key: read("replica.key"), cert: read("replica.crt"), ca: "" };
}

/** Nobody gives a replica a key that the replica itself did not make and consent to. */
async function refusesStrangeKeys(shard: TestShard): Promise<void> {
  const primary = await shard.waitForPrimary();
  const status = await shard.status((primary + 1) % 3);
  const { replica = 0, incarnation, publicKey, view } = status ?? {};
  ok(incarnation && publicKey && view !== null && view !== undefined);
  const strange = { view, replica, incarnation, publicKey: randomHex(32) };
  const asked = await shard.admins[primary]?.rekey({ ...strange, consent: "0".repeat(128) });
  strictEqual(asked?.kind === "refused" ? asked.code : asked?.kind, "wrong_member");
  const retire = randomHex(32);
  const made = await shard.admins[replica]?.rotate({ nonce: randomHex(32), retire });
  strictEqual(made?.kind === "refused" ? made.code : made?.kind, "wrong_member");
  strictEqual((await shard.status(replica))?.nextKey, undefined, "and none was made");
}

test("faults: each replica's own key changes on its volume while the shard serves", async () => {
  await underLoad("rotate replicas' own keys", {}, async ({ shard, load, history }) => {
    const ca = readFileSync(shard.config.files.trust, "utf8");
    const former = { ...identityOn(shard, 2), ca };
    const { peerPort } = shard.config.peers[0] ?? { peerPort: 0 };
    for (const index of indexes) {
      const before = await shard.status(index);
      const publicKey = await shard.rotateKey(index);
      const after = await shard.waitForCaughtUp(index);
      strictEqual(after.publicKey, publicKey);
      strictEqual(after.incarnation, before?.incarnation, "the volume is the same");
      ok(before?.publicKey !== publicKey);
    }
    await rotations(shard, "key", "done", 1);
    await refusesStrangeKeys(shard);
    // Nobody died, so nobody may have waited for anybody.
    ok(history.longestGapMs < 1_000, `${history.longestGapMs} ms without an answer`);
    ok(!(await isGreeted(shard, peerPort, former)), "the former key opens no connection");
    ok(await isGreeted(shard, peerPort, { ...identityOn(shard, 2), ca }), "the next one does");
    await load.waitForAcks(100);
    for (const index of indexes) {
      await shard.replicas[index]?.signal("SIGKILL");
      shard.replicas[index]?.start();
      await shard.waitForCaughtUp(index);
    }
  });
});

test("faults: kill -9 amid the change of each replica's own key loses neither", async () => {
  await underLoad("kill amid rotations of keys", {}, async ({ shard, load }) => {
    const keys = new Set<string>();
    for (const [turn, waitMs] of [0, 30, 80, 150, 400, 1_500].entries()) {
      const primary = await shard.waitForPrimary();
      const index = (primary + turn) % 3;
      const rotated = shard.rotateKey(index, 60_000);
      // By turns who changes its key, the primary, or one of the others.
      const victim = turn < 3 ? index : (index + turn) % 3;
      await pause(waitMs);
      await shard.replicas[victim]?.signal("SIGKILL");
      await pause(200);
      shard.replicas[victim]?.start();
      keys.add(await rotated);
      for (const each of indexes) await shard.waitForCaughtUp(each);
      await load.waitForAcks(20);
    }
    strictEqual(keys.size, 6, "each is another key");
  });
});
