// Goal: a checkpoint that is damaged on the disk when a replica starts is mended from its peers;
// only when both are there and have no copy the start is refused, with file, byte and remedy.
// Method: three production hosts on disks in memory; bytes of one are flipped while it is down.
import { ok } from "node:assert/strict";
import { test } from "node:test";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

interface Stage {
  readonly cluster: HostCluster;
  readonly client: HostClient;
  readonly backup: number;
}

function down(): Stage {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  for (let i = 0; i < 60; i += 1) client.post(i);
  cluster.run(1_000);
  const backup = ((cluster.primary ?? 0) + 1) % 3;
  cluster.kill(backup);
  return { cluster, client, backup };
}

/** Flips a byte in the last block of each file whose name begins so, or in all of its bytes. */
function damage({ cluster, backup }: Stage, start: string, everywhere = false): string {
  const files = cluster.seats[backup]?.disk.files;
  const name = [...(files?.keys() ?? [])].find((one) => one.startsWith(`segments/${start}`));
  const bytes = name === undefined ? undefined : files?.get(name);
  ok(name !== undefined && bytes !== undefined, "a file to damage");
  if (everywhere) bytes.fill(0x5a);
  else bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  return name;
}

function follows({ cluster, client, backup }: Stage): void {
  for (let i = 60; i < 90; i += 1) client.post(i);
  cluster.runUntil("the backup to follow", 20_000, () => {
    const { host } = cluster.seats[backup] ?? {};
    const head = cluster.host(cluster.primary ?? 0).replica.head;
    return host !== null && host?.replica.commitMin === head;
  });
}

for (const [start, everywhere] of [
  ["h0-", false],
  ["h0-", true],
  ["m", false],
  ["m", true],
] as const) {
  const how = everywhere ? "whole" : "in a block";
  test(`opening: segments/${start}* damaged ${how} is mended from a peer`, () => {
    const stage = down();
    const name = damage(stage, start, everywhere);
    stage.cluster.open(stage.backup);
    follows(stage);
    ok(
      stage.cluster.alarms.some((what) => what.includes(`of ${name} is damaged; the start waits`)),
    );
    // What was mended is on the disk: the next start needs nobody.
    stage.cluster.kill(stage.backup);
    const before = stage.cluster.alarms.length;
    stage.cluster.open(stage.backup);
    follows(stage);
    ok(stage.cluster.alarms.length === before);
  });
}

test("opening: without a copy at any peer the start is refused by file, byte and remedy", () => {
  const stage = down();
  const name = damage(stage, "h0-");
  stage.cluster.passes = (_from, _to, message) => message.kind !== "chunk";
  let said = "";
  stage.cluster.onStop = (_index, why) => {
    said = why;
  };
  stage.cluster.open(stage.backup);
  stage.cluster.runUntil("the refusal", 20_000, () => said !== "");
  ok(new RegExp(`${name} is damaged at byte \\d{4,} \\(block \\d+\\)`).test(said), said);
  ok(said.endsWith("replace this replica's volume."), said);
});

test("opening: while a peer is away the start waits for it", () => {
  const stage = down();
  damage(stage, "h0-");
  const { cluster, backup } = stage;
  const other = [0, 1, 2].find((i) => i !== backup && i !== cluster.primary) ?? 0;
  cluster.passes = (_from, _to, message) => message.kind !== "chunk";
  cluster.kill(other);
  cluster.open(backup);
  cluster.run(15_000);
  ok(cluster.seats[backup]?.host === null);
  cluster.passes = () => true;
  cluster.open(other);
  cluster.runUntil("the start to end", 20_000, () => cluster.seats[backup]?.host !== null);
});

test("opening: a fetched checkpoint that cannot be read back is fetched anew by a restart", () => {
  const stage = down();
  const { cluster, client, backup } = stage;
  for (let i = 90; i < 170; i += 1) client.post(i);
  cluster.run(1_000);
  const files = cluster.seats[backup]?.disk.files ?? new Map<string, Uint8Array>();
  const before = new Set(files.keys());
  let said = "";
  cluster.onStop = (_, why) => {
    said = why;
  };
  cluster.open(backup);
  let fetched = "";
  cluster.runUntil("the stop", 20_000, () => {
    // What a sync has just written decays before the rest of it has come.
    if (fetched === "") {
      fetched = [...files.keys()].find((one) => /^segments.h/.test(one) && !before.has(one)) ?? "";
      if (fetched !== "") files.get(fetched)?.fill(0x5a);
    }
    return said !== "";
  });
  ok(said.includes(fetched), said);
  ok(said.endsWith("start this replica again, it fetches the checkpoint anew."), said);
  cluster.kill(backup);
  cluster.open(backup);
  for (let i = 170; i < 180; i += 1) client.post(i);
  follows(stage);
});
