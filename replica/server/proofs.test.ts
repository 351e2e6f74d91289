// Three production hosts on virtual time: signed checkpoints and receipts come out of commits, and
// survive failover, restart and state sync; a fork is never cosigned.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { seqFrom } from "#replica/base/brands.ts";
import { Prng } from "#replica/base/prng.ts";
import { sha256Bytes } from "#replica/crypto/hash.ts";
import { proofCrypto } from "#replica/crypto/proof-crypto.ts";
import type { CheckpointPolicy } from "#replica/proof/checkpoint.ts";
import { verifyCheckpoint } from "#replica/proof/checkpoint.ts";
import { verifyExtends } from "#replica/proof/consistency.ts";
import { parseVerifierKey } from "#replica/proof/note.ts";
import { verifyReceipt } from "#replica/proof/receipt.ts";
import type { ProofQuestion } from "#replica/wire/client-message.ts";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

function started(): { readonly cluster: HostCluster; readonly client: HostClient } {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  return { cluster, client };
}

/** Asks one replica until it has an answer that is not "later". */
function ask(cluster: HostCluster, client: HostClient, at: number, kind: string, seq = 0): string {
  const question = { kind, seq: seqFrom(seq), limit: 1 } as ProofQuestion;
  let said = client.prove(at, question);
  cluster.runUntil(`${kind} of ${seq} at ${at}`, 8_000, () => {
    if (said === null) said = client.prove(at, question);
    return said !== null;
  });
  return said ?? "";
}

function policyOf(cluster: HostCluster, client: HostClient, at = 0): CheckpointPolicy {
  const keys = ask(cluster, client, at, "keys").trim().split("\n");
  strictEqual(keys.length, 6);
  return {
    cosignersMin: 2,
    keys: keys.map((text) => {
      const key = parseVerifierKey(sha256Bytes, text);
      ok(key.ok);
      return key.value;
    }),
  };
}

function assertReceipt(cluster: HostCluster, client: HostClient, at: number, seq: number): string {
  // A backup learns of a commit with the next heartbeat.
  cluster.run(50);
  const text = ask(cluster, client, at, "receipt", seq);
  const verified = verifyReceipt(proofCrypto, text, policyOf(cluster, client, at));
  ok(verified.ok, verified.ok ? "" : verified.reason);
  strictEqual(verified.value.entry.seq, seq);
  return text;
}

test("proofs: the last message of an idle shard gets its receipt within two seconds", () => {
  const { cluster, client } = started();
  for (let i = 0; i < 5; i += 1) client.post(i);
  const beforeMs = cluster.nowMs;
  for (const at of [0, 1, 2]) assertReceipt(cluster, client, at, 5);
  ok(cluster.nowMs - beforeMs < 2_500, `${cluster.nowMs - beforeMs} ms`);
  strictEqual(ask(cluster, client, 0, "receipt", 6), "");
  // And then nothing more happens: an idle shard is idle.
  const head = cluster.host(0).replica.head;
  cluster.run(5_000);
  ok(cluster.host(0).replica.head <= head + 1, "no further no-ops");
  deepStrictEqual(cluster.alarms, []);
});

test("proofs: checkpoints extend each other through failover, restart and state sync", () => {
  const { cluster, client } = started();
  for (let i = 0; i < 30; i += 1) client.post(i);
  const first = ask(cluster, client, 0, "checkpoint");
  const policy = policyOf(cluster, client);
  const known = verifyCheckpoint(proofCrypto, first, policy);
  ok(known.ok);
  const lost = cluster.primary ?? 0;
  cluster.kill(lost);
  for (let i = 30; i < 150; i += 1) client.post(i);
  const other = (lost + 1) % 3;
  assertReceipt(cluster, client, other, 150);
  cluster.open(lost);
  for (let i = 150; i < 200; i += 1) client.post(i);
  cluster.run(3_000);
  for (const at of [0, 1, 2]) {
    assertReceipt(cluster, client, at, 200);
    assertReceipt(cluster, client, at, 1);
    const text = ask(cluster, client, at, "consistency", known.value.size);
    const newer = verifyExtends(proofCrypto, known.value, text, policy);
    ok(newer.ok, newer.ok ? "" : newer.reason);
    ok(newer.value.size > known.value.size);
  }
  deepStrictEqual(cluster.alarms, []);
});

test("proofs: all three restart at once; the log goes on where it was signed", () => {
  const { cluster, client } = started();
  for (let i = 0; i < 40; i += 1) client.post(i);
  const policy = policyOf(cluster, client);
  const before = verifyCheckpoint(proofCrypto, ask(cluster, client, 1, "checkpoint"), policy);
  ok(before.ok);
  for (const at of [0, 1, 2]) cluster.kill(at);
  for (const at of [0, 1, 2]) cluster.open(at);
  client.connect();
  client.post(40);
  assertReceipt(cluster, client, 2, 41);
  const text = ask(cluster, client, 2, "consistency", before.value.size);
  ok(verifyExtends(proofCrypto, before.value, text, policy).ok);
  deepStrictEqual(cluster.alarms, []);
});

test("proofs: a replica whose history is not what it signed says so and signs nothing", () => {
  const { cluster, client } = started();
  for (let i = 0; i < 10; i += 1) client.post(i);
  assertReceipt(cluster, client, 0, 10);
  // As if all volumes had been brought back from another history, but not the memory of signing.
  const seat = cluster.seats[2];
  ok(seat?.mark);
  cluster.kill(2);
  seat.mark = { ...seat.mark, root: "e".repeat(64) as typeof seat.mark.root };
  cluster.open(2);
  cluster.run(1_500);
  client.post(10);
  assertReceipt(cluster, client, 1, 11);
  strictEqual(cluster.alarms.filter((what) => what.startsWith("fork of the")).length, 1);
  const mark = seat.mark;
  client.post(11);
  assertReceipt(cluster, client, 0, 12);
  deepStrictEqual(seat.mark, mark);
});

test("proofs: random kills and losses never fork the log; every receipt comes in the end", () => {
  for (let seed = 1; seed <= 3; seed += 1) {
    const prng = new Prng(seed);
    const { cluster, client } = started();
    cluster.passes = () => prng.below(100) >= 3;
    const seen: string[] = [];
    let posted = 0;
    for (let turn = 0; turn < 12; turn += 1) {
      const victim = prng.below(3);
      const kills = prng.below(2) === 0;
      if (kills) cluster.kill(victim);
      const posts = prng.below(25);
      for (let i = 0; i < posts; i += 1) {
        client.post(posted);
        posted += 1;
        cluster.run(prng.below(150));
      }
      if (kills) cluster.open(victim);
      cluster.run(prng.below(2_500));
      const at = (victim + 1) % 3;
      const text = client.prove(at, { kind: "checkpoint", seq: seqFrom(0), limit: 1 });
      if (text !== null && text !== "") seen.push(text);
    }
    cluster.passes = () => true;
    cluster.run(6_000);
    const policy = policyOf(cluster, client);
    for (const at of [0, 1, 2]) {
      for (let seq = 1; seq <= posted; seq += 17) assertReceipt(cluster, client, at, seq);
      for (const note of seen) {
        const known = verifyCheckpoint(proofCrypto, note, policy);
        ok(known.ok, `seed ${seed}`);
        const text = ask(cluster, client, at, "consistency", known.value.size);
        const newer = verifyExtends(proofCrypto, known.value, text, policy);
        ok(newer.ok, `seed ${seed}, replica ${at}: ${newer.ok ? "" : newer.reason}`);
      }
    }
    ok(seen.length > 3, `seed ${seed}: ${seen.length} checkpoints`);
    deepStrictEqual(cluster.alarms, []);
  }
});
