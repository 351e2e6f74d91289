// What a replica accepts as its configuration, and the sentences with which it refuses.
import { strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { checkReplicaConfig, parseReplicaConfig } from "./replica-config.ts";

function sample(): Record<string, unknown> {
  const peers = [0, 1, 2].map((n) => ({
    host: `lobby-${n}.lobby`,
    peerPort: 7101,
    clientPort: 7102,
    adminPort: 7103,
    metricsPort: 7104,
  }));
  return {
    cluster: "0f".repeat(16),
    shard: "lobby",
    fleet: "default",
    peers,
    listen: { host: "0.0.0.0" },
    walSizeBytes: 64 * 1024 * 1024,
    timing: { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 },
    quorum: { replication: 2, viewChange: 2 },
    keys: { windowHours: 24, max: 100_000_000 },
    files: { trust: "/trust/ca.crt", kek: "/keys/kek", bootstrap: "/bootstrap/bootstrap" },
    log: { level: "info" },
  };
}

const refusals: readonly { change: Record<string, unknown>; sentence: string }[] = [
  { change: { color: 1 }, sentence: "color is not a known member." },
  {
    change: { shard: "Lobby" },
    sentence: "shard must be a shard's name (a-z, 0-9, -; at most 40).",
  },
  { change: { peers: [] }, sentence: "peers must be a list of 3." },
  { change: { walSizeBytes: 2 ** 25 + 1 }, sentence: "walSizeBytes must be a multiple of 131072." },
  {
    change: { timing: { heartbeatMs: 30, suspectMs: 100, viewChangeMs: 150 } },
    sentence: "timing.suspectMs must be at least 4 x heartbeatMs, that is 120.",
  },
  {
    change: { timing: { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 90 } },
    sentence: "timing.viewChangeMs must be at least suspectMs, that is 100.",
  },
  {
    change: { quorum: { replication: 1, viewChange: 2 } },
    sentence: "quorum.replication must be more than half of 3 replicas.",
  },
  { change: { log: {} }, sentence: "log.level must be one of debug, info, warn, error." },
];

test("admin: a whole replica configuration is accepted unchanged", () => {
  const checked = parseReplicaConfig(JSON.stringify(sample()));
  strictEqual(checked.ok, true);
  if (checked.ok) strictEqual(JSON.stringify(checked.value), JSON.stringify(sample()));
});

test("admin: every wrong configuration is refused with its sentence", () => {
  for (const { change, sentence } of refusals) {
    const checked = checkReplicaConfig({ ...sample(), ...change });
    strictEqual(checked.ok ? "accepted" : checked.sentence, sentence);
  }
});

test("admin: two replicas on one address and port are refused", () => {
  const config = sample();
  const address = (config.peers as unknown[])[0];
  const checked = checkReplicaConfig({ ...config, peers: [address, address, address] });
  strictEqual(checked.ok ? "accepted" : checked.sentence, "peers use lobby-0.lobby:7101 twice.");
});

test("admin: text that is not JSON is refused with a sentence", () => {
  const checked = parseReplicaConfig("{");
  strictEqual(checked.ok ? "accepted" : checked.sentence, "The document is not valid JSON.");
});
