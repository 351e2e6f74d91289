// Goal: a formation that a lost or damaged disk interrupts goes on, or says what to do (rule A11).
// Method: three production hosts on virtual time, frames held back until the right moment.
import { ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

/** Three formatted volumes that have not heard of each other, and frames that reach `heard`. */
function strangers(heard: (to: number) => boolean): {
  readonly cluster: HostCluster;
  /** Who has recorded the formation: it tells of a life from then on. */
  readonly formed: ReadonlySet<number>;
} {
  const cluster = new HostCluster();
  const formed = new Set<number>();
  for (const index of [0, 1, 2]) cluster.kill(index);
  cluster.run(2);
  cluster.passes = (from, to, message) => {
    if (message.kind === "ping" && message.lives.length > 0) formed.add(from);
    return heard(to);
  };
  for (const index of [0, 1, 2]) cluster.open(index);
  return { cluster, formed };
}

function writes(cluster: HostCluster): void {
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  for (let i = 0; i < 5; i += 1) client.post(i);
}

test("formation: a formed disk that dies before the third forms is replaced", () => {
  const { cluster, formed } = strangers((to) => to !== 2);
  cluster.runUntil("two to form", 2_000, () => formed.size === 2);
  ok(!formed.has(2));
  cluster.kill(0);
  cluster.passes = () => true;
  cluster.runUntil("a primary", 5_000, () => cluster.primary !== null);
  writes(cluster);
  strictEqual(cluster.replace(0), "");
  cluster.runUntil("the new volume to vote", 10_000, () => cluster.host(0).replica.voting);
  writes(cluster);
});

test("formation: a loss before anyone could vote says that nothing is lost by forming anew", () => {
  const { cluster, formed } = strangers((to) => to === 0);
  cluster.runUntil("one to form", 2_000, () => formed.size === 1);
  cluster.kill(0);
  cluster.passes = () => true;
  cluster.run(10_000);
  strictEqual(cluster.primary, null);
  for (const index of [1, 2]) {
    const { alarms } = cluster.host(index).replica;
    const said = alarms.find((what) => what.includes("replica 0 is not heard")) ?? "";
    ok(said.includes("empty all three and form the shard anew"), alarms.join());
  }
});

test("formation: a volume whose root decayed before anything else was written takes part", () => {
  const cluster = new HostCluster();
  cluster.kill(2);
  const files = cluster.seats[2]?.disk.files;
  files?.get("prepares")?.fill(0xbb, 0, 4096);
  files?.get("identifiers")?.fill(0xbb, 0, 4096);
  cluster.open(2);
  cluster.runUntil("a primary", 5_000, () => cluster.primary !== null);
  writes(cluster);
  cluster.kill((cluster.primary ?? 0) === 0 ? 1 : 0);
  writes(cluster);
  strictEqual(cluster.host(2).replica.status, "normal");
});
