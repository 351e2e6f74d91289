// Goal: each published bug of other systems that concerns us has a test by name. Method: the list,
// checked against the files that hold the tests; the tests themselves run where they stand.
import { deepStrictEqual, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = new URL("../../", import.meta.url).pathname;
const kills = "test/faults/kills.test.ts";
const disks = "test/faults/faulty-disk.test.ts";
const flips = "test/faults/flips.test.ts";
const scenarios = "test/sim/scenarios.test.ts";
const own = "replica/vsr/replica.test.ts";
const views = "replica/vsr/views-and-repair.test.ts";
const membership = "replica/server/membership-under-faults.test.ts";
const replacement = "replica/server/replacement.test.ts";

/** Number, system and bug; then file and (part of) the name of each test. */
const bugs: readonly (readonly [string, ...(readonly [string, string])[]])[] = [
  [
    "1 NATS #7564: ack before fsync loses acked data on coordinated power loss",
    [scenarios, "all three lose power in normal status and come back alone (NATS #7564, #7567)"],
    [disks, "power cut of all three at once, twice, loses nothing acknowledged"],
  ],
  [
    "2 NATS #7567: one un-synced node fails, the quorum forgets",
    [scenarios, "all three lose power in normal status and come back alone (NATS #7564, #7567)"],
    [disks, "power cut of one: what it had not synced is gone, what it acked is not"],
  ],
  [
    "3 NATS #7549: bit flips in a minority's log lose acked records",
    [scenarios, "a corrupt entry is repaired, it never becomes the log (NATS #7549)"],
    [flips, "a flip in every slot of a backup's prepares is repaired"],
    [flips, "other slots flipped on each of the three lose nothing"],
  ],
  [
    "4 NATS #7556: a corrupt snapshot on a minority's node that comes to lead deletes data",
    ["replica/server/opening.test.ts", " is mended from a peer"],
    ["replica/server/opening.test.ts", "while a peer is away the start waits for it"],
    [flips, "flips in a backup's segments are repaired or named"],
  ],
  [
    "5 NATS #6888: kill -9 alone loses data",
    [kills, "kill -9 of each replica in turn loses nothing"],
    [kills, "kill -9 of all three at once, thrice, loses nothing"],
  ],
  [
    "6 NATS #7545: membership change, partition and kills lose acked records",
    [membership, "replacements amid kills and cuts lose nothing (NATS #7545, RedisRaft #44)"],
  ],
  [
    "7 NATS #7587: a truncated log counts as healthy in an election",
    [
      "replica/vsr/recovery.test.ts",
      "a fault that may be right of the head: uncertain (NATS #7587)",
    ],
  ],
  [
    "8 Redpanda #3039: a retry under a new producer epoch duplicates",
    ["test/edge/edge.test.ts", "a second edge repeats a post of the first"],
    [
      "test/edge/edge.test.ts",
      "a post repeated by HTTP with the same key gives the same seq and dup",
    ],
    ["replica/client/shard-client.test.ts", "view changes and evictions answer all once"],
  ],
  [
    "9 Redpanda #3003: one offset, two values",
    [own, "an ack of an older view never counts, though op and checksum fit (A3.5)"],
    ["replica/vsr/selection.test.ts", "canonical logs that differ are a bug, not a choice"],
    [kills, "a stopped primary and a killed backup leave no two primaries behind"],
  ],
  [
    "10 Redpanda 21.11.2: kills and membership changes lose messages or make them stale",
    [membership, "replacements amid kills and cuts lose nothing"],
    [replacement, "what was acknowledged with the lost volume survives its replacement"],
  ],
  [
    "11 Redpanda #3036: aborted reads, circular information flow",
    [
      "test/faults/judges.test.ts",
      "both judges reject a peek at something that is not there later",
    ],
    ["test/faults/judges.test.ts", "both judges reject an order against real time"],
    ["test/faults/partitions.test.ts", "cuts that wander every 400 ms, with kills, lose nothing"],
  ],
  [
    "12 TigerBeetle: results missing with several predicates",
    ["replica/machine/chat-machine.test.ts", "reads go forwards and backwards, within limits"],
    ["test/model/machine-model.test.ts", "random histories agree with the model"],
  ],
  [
    "13 TigerBeetle: panics during upgrades",
    ["replica/server/upgrade.test.ts", "an older build that comes back in the middle of one stops"],
    ["replica/server/upgrade.test.ts", "a view change in the middle neither loses nor repeats it"],
    [kills, "kill -9 of the primary in the middle of an upgrade of the machine"],
  ],
  [
    "14 TigerBeetle: one bad node raises latency throughout",
    [disks, "one disk whose every sync takes 100 ms longer holds nobody up"],
    ["test/bench/README.md", "disturbed"],
  ],
  [
    "15 TigerBeetle: no safe path after total loss of a disk",
    [replacement, "what was acknowledged with the lost volume survives its replacement"],
    [replacement, "a lost volume is replaced: the learner follows, catches up, then votes"],
  ],
  [
    "16 TigerBeetle: endless retries of clients",
    ["replica/client/room-reader.test.ts", "is asked again, ends at its deadline"],
    ["edge/bus/bus.test.ts", "an unknown outcome and a definite no are told apart"],
    ["edge/connection/connection.test.ts", "an unknown outcome says so and asks for a retry"],
  ],
  [
    "17 TigerBeetle: a rolled-back chunk panics at every start; helical faults lose data",
    ["test/faults/rollback.test.ts", "a superblock rolled back under a newer log stops its owner"],
    [flips, "other slots flipped on each of the three lose nothing"],
  ],
  [
    "18 TigerBeetle #2711, #2506: misdirected writes of the log are mis-recovered",
    [
      "replica/journal/wal-slot.test.ts",
      "a sound slot in another slot's place, or units in another",
    ],
    [
      "replica/journal/decision-table.test.ts",
      "a slot is empty only when nothing durable can have",
    ],
  ],
  [
    "19 TigerBeetle #2253: a prepare before log_view is durable",
    [own, "no vote leaves before view and headers are durable (TigerBeetle #2253)"],
    [views, "no prepare leaves before its log_view is durable (TigerBeetle #2253)"],
  ],
  [
    "20 TigerBeetle #2437, #3618: repair starves or resonates",
    [views, "repair asks both peers and at changing intervals (TigerBeetle #2437, #3618)"],
    [views, "a slow repair that goes on is never given up for a state sync"],
  ],
  [
    "21 etcd #14370: a reply before the local log is saved",
    [own, "a primary's own ack counts only when its write is durable (A5a 12)"],
  ],
  [
    "22 etcd #13766: applied index and data are not saved atomically",
    ["replica/journal/superblock-copies.test.ts", "a write cut anywhere leaves the old superblock"],
    ["replica/server/host.test.ts", "checkpoints are at the same ops on all replicas, and survive"],
  ],
  [
    "23 etcd #14098, #14143: un-synced loss leaves a log that cannot be opened",
    [
      "replica/journal/wal-slot.test.ts",
      "a write cut at every unit boundary, in any order, is torn",
    ],
    [disks, "failed syncs and a power cut bring nothing un-stored back"],
  ],
  [
    "24 etcd #15271, #17529, #20221: watches go back, lose events, or tell old ones",
    ["edge/fanout/fanout.test.ts", "since within reach is recovered whole, else not at all"],
    [
      "edge/fanout/fanout.test.ts",
      "a slow client loses its queue, gets one gap, and is live again",
    ],
    [
      "test/edge/edge.test.ts",
      "sockets cut again and again: nothing lost, doubled or out of order",
    ],
  ],
  [
    "25 etcd #17780, #18089: compaction drops events",
    ["edge/fanout/fanout.test.ts", "a position below the floor is not recovered; tail gives what"],
    [
      "replica/machine/retention.test.ts",
      "what is too old goes on a trim, and proofs of what stays",
    ],
  ],
  [
    "26 VRR: state transfer truncates committed ops; the client table answers wrong or locks out",
    [views, "a view that is only heard of truncates nothing (VRR state transfer, Vanlightly)"],
    [views, "a request that a view change drops may come again (VRR client table)"],
    ["replica/vsr/sessions.test.ts", "each request commits once and in order, the last answers"],
  ],
  [
    "27 PAR: one corrupt sector becomes the loss of the cluster",
    ["replica/vsr/selection.test.ts", "what two may have acked stays (PAR, NATS #7549)"],
  ],
  [
    "28 an asymmetric partition livelocks view changes",
    [scenarios, "a one-way partition of a backup does not livelock the view change"],
    ["test/faults/partitions.test.ts", "a backup that hears nobody but is heard does not stop"],
  ],
  [
    "29 RedisRaft #44: pauses, partitions, membership: split-brain, gaps behind a snapshot",
    [membership, "replacements amid kills and cuts lose nothing (NATS #7545, RedisRaft #44)"],
    ["replica/server/host.test.ts", "a replica behind the ring fetches a checkpoint while newer"],
  ],
];

test("bugs of others: each of the twenty-nine has a test by name", () => {
  const numbers = bugs.map(([bug]) => Number.parseInt(bug, 10));
  deepStrictEqual(
    numbers,
    Array.from({ length: 29 }, (_, i) => i + 1),
  );
  for (const [bug, ...tests] of bugs) {
    ok(tests.length > 0, bug);
    for (const [file, name] of tests) {
      const text = readFileSync(join(root, file), "utf8");
      ok(text.includes(name), `${bug}: ${file} holds no test "${name}"`);
    }
  }
});
