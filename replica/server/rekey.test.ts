// Goal: a replica's key changes on its volume by an op of the log, and everything that it signs
// says which key it had. Method: three production hosts on virtual time.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { replicaFrom } from "#replica/base/brands.ts";
import { bytesFromHex } from "#replica/base/bytes.ts";
import { publicKeyFrom, verifyEd25519 } from "#replica/crypto/ed25519.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

const bodyBytes = 100;

interface Stage {
  readonly cluster: HostCluster;
  readonly client: HostClient;
  /** Every prepare that was sent. */
  readonly prepares: Prepare[];
}

function started(): Stage {
  const cluster = new HostCluster();
  const prepares: Prepare[] = [];
  cluster.alter = (_, __, message) => {
    if (message.kind === "prepare") prepares.push(message.prepare);
    return message;
  };
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  for (let i = 0; i < 3; i += 1) client.post(i, bodyBytes);
  cluster.run(1_500);
  return { cluster, client, prepares };
}

/** Has a replica's key changed; the op of it. */
function rekeyed({ cluster }: Stage, index: number, turn = 1): number {
  let outcome = cluster.rekey(index, turn);
  cluster.runUntil("the key to be committed", 2_000, () => {
    if (outcome !== "done") outcome = cluster.rekey(index, turn);
    return outcome === "done";
  });
  return cluster.host(cluster.primary ?? 0).replica.committedMembers[index]?.replaceOp ?? 0;
}

function signedBy({ header }: Prepare, publicKey: string): boolean {
  const key = publicKeyFrom(publicKey);
  return key !== null && verifyEd25519(key, bytesFromHex(header.checksum), header.signature);
}

function keysOf(cluster: HostCluster): readonly string[] {
  return cluster.host(cluster.primary ?? 0).replica.committedMembers.map((one) => one.publicKey);
}

test("host: each replica's key changes in turn, the primary's too, in one view", () => {
  const stage = started();
  const { cluster, client, prepares } = stage;
  const before = keysOf(cluster);
  const { view } = cluster.host(0).replica;
  const ops = [0, 1, 2].map((index) => {
    const op = rekeyed(stage, index);
    client.post(10 + index, bodyBytes);
    return op;
  });
  cluster.run(1_000);
  const after = keysOf(cluster);
  ok(after.every((key, index) => key !== before[index]));
  for (const { host } of cluster.seats) {
    strictEqual(host?.replica.view, view, "nobody lost its vote");
    strictEqual(host.replica.ownKeyTold, true);
    deepStrictEqual(
      host.replica.members.map((one) => one.publicKey),
      after,
    );
  }
  const made = prepares.filter(({ header }) => header.op > 0);
  for (const prepare of made) {
    const { author, op } = prepare.header;
    const key = op > (ops[author] ?? 0) ? after[author] : before[author];
    ok(signedBy(prepare, key ?? ""), `op ${op} of ${author}`);
  }
  ok(made.some(({ header }) => header.op > (ops[header.author] ?? 0)));
  deepStrictEqual(client.read(0, 0), [1, 2, 3, 4, 5, 6]);
  deepStrictEqual(cluster.alarms, []);
});

test("host: a change that a view change drops leaves the former key", () => {
  const stage = started();
  const { cluster, client, prepares } = stage;
  const primary = cluster.primary ?? 0;
  const before = keysOf(cluster)[primary] ?? "";
  // It is in the primary's log alone, with what was made above it.
  cluster.passes = (from, _, message) => {
    if (from === primary && message.kind === "prepare") prepares.push(message.prepare);
    return from !== primary;
  };
  strictEqual(cluster.rekey(primary), "pending");
  cluster.run(20);
  const dropped = prepares.filter(({ header }) => header.kind === "rekey");
  const above = prepares.filter(({ header }) => header.op > (dropped[0]?.header.op ?? Infinity));
  const next = cluster.host(primary).replica.members[primary]?.publicKey ?? "";
  ok(next !== before && above.length > 0);
  for (const prepare of above) ok(signedBy(prepare, next), "above it by the next key");
  for (const prepare of dropped) ok(signedBy(prepare, before), "it itself by the former one");
  cluster.runUntil("another primary", 5_000, () => {
    return cluster.seats.some(({ host }, index) => {
      return index !== primary && host?.replica.primary === index && host.replica.voting;
    });
  });
  cluster.run(300);
  cluster.passes = () => true;
  cluster.run(1_000);
  strictEqual(cluster.host(primary).replica.members[primary]?.publicKey, before);
  for (let i = 6; i < 9; i += 1) client.post(i, bodyBytes);
  const leads = cluster.primary ?? 0;
  cluster.host(leads).transfer(replicaFrom(primary));
  cluster.runUntil("the first one leads again", 5_000, () => cluster.primary === primary);
  prepares.length = 0;
  client.post(9, bodyBytes);
  const own = prepares.filter(({ header }) => header.author === primary);
  ok(own.length > 0);
  for (const prepare of own) ok(signedBy(prepare, before), "it signs with the former key again");
});

test("host: a changed key survives kills, checkpoints, a wrapped ring and state sync", () => {
  const stage = started();
  const { cluster, client } = stage;
  const away = ((cluster.primary ?? 0) + 1) % 3;
  for (const turn of [1, 2]) for (const index of [0, 1, 2]) rekeyed(stage, index, turn);
  const keys = keysOf(cluster);
  cluster.kill(away);
  for (let i = 0; i < 60; i += 1) client.post(100 + i, 2_000);
  cluster.open(away);
  cluster.runUntil("it to catch up", 10_000, () => {
    const { head } = cluster.host(cluster.primary ?? 0).replica;
    return cluster.host(away).replica.commitMin >= head;
  });
  for (const index of [0, 1, 2]) cluster.kill(index);
  for (const index of [0, 1, 2]) cluster.open(index);
  cluster.runUntil("a primary", 5_000, () => cluster.primary !== null);
  cluster.run(1_500);
  for (const { host } of cluster.seats) {
    deepStrictEqual(
      host?.replica.committedMembers.map((one) => one.publicKey),
      keys,
    );
    strictEqual(host.replica.ownKeyTold, true);
  }
});

test("host: the former key is kept until both peers hold the next one durably", () => {
  const stage = started();
  const { cluster, client } = stage;
  const primary = cluster.primary ?? 0;
  const late = (primary + 1) % 3;
  // It hears that the others live, and nothing of the log.
  const lost = ["prepare", "commit", "start_view", "headers", "ping", "pong"];
  cluster.passes = (_, to, message) => to !== late || !lost.includes(message.kind);
  rekeyed(stage, primary);
  cluster.run(500);
  strictEqual(cluster.host(primary).replica.ownKeyTold, false);
  cluster.kill(late);
  cluster.passes = () => true;
  cluster.run(500);
  client.post(20, bodyBytes);
  strictEqual(cluster.host(primary).replica.ownKeyTold, false);
  cluster.open(late);
  cluster.runUntil("all know", 5_000, () => cluster.host(primary).replica.ownKeyTold);
});

test("host: a change is refused while one of three is away, or another one is under way", () => {
  const stage = started();
  const { cluster } = stage;
  const primary = cluster.primary ?? 0;
  const [a, b] = [(primary + 1) % 3, (primary + 2) % 3];
  const why = (outcome: ReturnType<HostCluster["rekey"]>): string => {
    return typeof outcome === "object" ? outcome.refused : outcome;
  };
  strictEqual(cluster.rekey(a), "pending");
  strictEqual(why(cluster.rekey(b)).includes("under way"), true);
  rekeyed(stage, a);
  cluster.run(200);
  strictEqual(cluster.rekey(a), "done", "asked again it is done");
  cluster.kill(b);
  cluster.run(1_000);
  const refused = why(cluster.rekey(primary));
  strictEqual(refused.includes(`replica ${b} is not heard`), true, refused);
  strictEqual(cluster.replace(b), "");
  cluster.runUntil("the new volume to vote", 5_000, () => cluster.host(b).replica.voting);
  cluster.runUntil("its key to change", 5_000, () => cluster.rekey(b) === "done");
});
