// What operator/desired renders is what replica/admin reads: neither room may import the other.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { validateRoomShard } from "#operator/api/validate.ts";
import { replicaConfigOf } from "#operator/desired/replica-config.ts";
import { parseReplicaConfig } from "#replica/admin/replica-config.ts";
import { version } from "#replica/server/version.ts";
import { rootFolder } from "#test/tidy/source.ts";

function text(path: string): string {
  return readFileSync(join(rootFolder, path), "utf8");
}

test("replica config: the example's manifest renders to a file that a replica accepts", () => {
  const shard = validateRoomShard(parse(text("deploy/examples/roomshard.yaml")));
  ok(shard.ok, "the example is valid");
  const peers = [0, 1, 2].map((replica) => {
    const host = `lobby-${replica}.lobby-peers`;
    return { host, peerPort: 7101, clientPort: 7102, adminPort: 7103, metricsPort: 7104 };
  });
  const files = { trust: "/trust/ca.crt", kek: "/keys/kek", bootstrap: "/bootstrap/bootstrap" };
  const cluster = "0f".repeat(16);
  const places = { cluster, peers, listenHost: "0.0.0.0", files, logLevel: "info" } as const;
  const config = parseReplicaConfig(replicaConfigOf(shard.value, places));
  ok(config.ok, config.ok ? "" : config.sentence);
  strictEqual(config.value.walSizeBytes, 64 * 1024 * 1024);
  deepStrictEqual(config.value.peers, peers);
  deepStrictEqual(config.value.timing, { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 });
});

test("replica config: the replica's version is that of the package", () => {
  strictEqual(version, (JSON.parse(text("package.json")) as { version: string }).version);
});
