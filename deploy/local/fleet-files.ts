import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { type ReplicaPlace, replicaConfigOf } from "#operator/desired/replica-config.ts";
import type { AdminCredentials } from "#operator/pki/admin-client.ts";
import { Authority, createAuthority } from "#operator/pki/authority.ts";
import { createEdgeSecret, type EdgeSecret } from "#operator/pki/edge-secret.ts";
import { edgeUri, operatorUri } from "#operator/pki/identity.ts";
import { randomHex } from "#operator/pki/proof.ts";
import { type DataDirectory, writeAtomically } from "./data-directory.ts";
import { loopback } from "./ports.ts";
import { Refusal } from "./refusal.ts";

/** The fleet's certificates as this run holds them. */
export interface FleetIdentity {
  readonly authority: Authority;
  /** For admin ports. */
  readonly operator: AdminCredentials;
}

/**
 * Opens the fleet's CA, or makes it with everything that edges hold. Certificates of operator and
 * edge are fresh at each start; keys that clients know of (tokens, API key) stay.
 */
export async function openIdentity(
  directory: DataDirectory,
  nowMs: number,
): Promise<FleetIdentity> {
  const { cluster } = directory.fleet;
  const certificateFile = directory.file("pki", "ca.crt");
  const keyFile = directory.file("pki", "ca.key");
  if (!existsSync(keyFile)) {
    // A second CA beside volumes of the first would only make replicas refuse each other.
    if (!directory.isNew && existsSync(join(directory.path, "shards"))) throw missing(keyFile);
    const made = await createAuthority(cluster, nowMs);
    writeAtomically(certificateFile, made.certificate);
    writeAtomically(keyFile, made.key);
  }
  const opened = await Authority.open({
    certificate: existsSync(certificateFile) ? readFileSync(certificateFile, "utf8") : "",
    key: readFileSync(keyFile, "utf8"),
  });
  if (!opened.ok) {
    throw new Refusal(`${keyFile} or ca.crt beside it is damaged; restore both from a backup.`);
  }
  const authority = opened.value;
  await writeEdgeSecret(directory, authority, nowMs);
  const operator = await authority.issue(operatorUri(cluster), nowMs);
  const ca = authority.certificatePem;
  return { authority, operator: { cert: operator.certificate, key: operator.key, ca } };
}

async function writeEdgeSecret(
  directory: DataDirectory,
  authority: Authority,
  nowMs: number,
): Promise<void> {
  const { cluster } = directory.fleet;
  const names: readonly (keyof EdgeSecret)[] = ["jwt.json", "api-keys.json", "api-key"];
  if (!names.every((name) => existsSync(directory.file("edge", name)))) {
    const made = await createEdgeSecret(authority, cluster, nowMs);
    for (const name of names) writeAtomically(directory.file("edge", name), made[name]);
  }
  requireOwnKey(directory.file("edge", "api-key"), directory.file("edge", "api-keys.json"));
  const tls = await authority.issue(edgeUri(cluster), nowMs);
  writeAtomically(directory.file("edge", "tls.crt"), tls.certificate);
  writeAtomically(directory.file("edge", "tls.key"), tls.key);
}

/** The key for people must be one that the edges know; else every call would be refused. */
function requireOwnKey(keyFile: string, listFile: string): void {
  const key = readFileSync(keyFile, "utf8").trim();
  const digest = createHash("sha256").update(key).digest("hex");
  if (readFileSync(listFile, "utf8").includes(`"${digest}"`)) return;
  throw new Refusal(
    `${keyFile} is not the key whose hash api-keys.json beside it has; restore both from a ` +
      "backup, or remove both to have new ones made.",
  );
}

/** One shard of this run: its manifest, where its replicas listen and the files they read. */
export interface ShardPlan {
  readonly manifest: RoomShard;
  readonly places: readonly ReplicaPlace[];
  readonly configFile: string;
  /** Shared secret with which a volume proves that it is of this shard; 64 hex digits. */
  readonly bootstrap: string;
}

/** Ports that one shard needs: four a replica. */
export const portsAShard = 12;

/** Writes what the replicas of one shard read. `ports`: {@link portsAShard} free ones. */
export function writeShardFiles(
  directory: DataDirectory,
  manifest: RoomShard,
  ports: readonly number[],
): ShardPlan {
  const shard = manifest.metadata.name;
  const kekFile = join(directory.path, "shards", shard, "kek");
  // A new key cannot open what the old one closed.
  if (!existsSync(kekFile) && existsSync(join(directory.path, "shards", shard, "replica.json"))) {
    throw missing(kekFile);
  }
  const kek = keptSecret(directory.file("shards", shard, "kek"));
  const bootstrap = keptSecret(directory.file("shards", shard, "bootstrap"));
  const places = [0, 1, 2].map((replica) => {
    const [peerPort = 0, clientPort = 0, adminPort = 0, metricsPort = 0] = ports.slice(4 * replica);
    return { host: loopback, peerPort, clientPort, adminPort, metricsPort };
  });
  const configFile = directory.file("shards", shard, "replica.json");
  const config = replicaConfigOf(manifest, {
    cluster: directory.fleet.cluster,
    peers: places,
    listenHost: loopback,
    files: {
      trust: join(directory.path, "pki", "ca.crt"),
      kek: kek.file,
      bootstrap: bootstrap.file,
    },
    logLevel: "info",
  });
  writeAtomically(configFile, config);
  return { manifest, places, configFile, bootstrap: bootstrap.value };
}

function missing(file: string): Refusal {
  return new Refusal(
    `${file} is missing; restore it from a backup, or name another --data directory.`,
  );
}

function keptSecret(file: string): { readonly file: string; readonly value: string } {
  if (!existsSync(file)) writeAtomically(file, randomHex(32));
  const value = readFileSync(file, "utf8").trim();
  if (/^[0-9a-f]{64}$/.test(value)) return { file, value };
  throw new Refusal(`${file} is damaged: it must hold 64 hex digits. Restore it from a backup.`);
}

/** Writes the routing table that the edges of this run read; the epoch rises with each start. */
export function writeRouting(directory: DataDirectory, shards: readonly ShardPlan[]): void {
  const file = directory.file("edge", "routing", "routing.json");
  const routing = {
    fleet: shards[0]?.manifest.spec.fleet ?? "default",
    cluster: directory.fleet.cluster,
    epoch: nextEpoch(file),
    shards: shards.map(({ manifest, places }) => ({
      name: manifest.metadata.name,
      addresses: places.map((place) => ({ host: place.host, port: place.clientPort })),
    })),
    slots: shards.map(({ manifest }) => ({
      tenant: manifest.spec.tenant,
      ...slotsOf(manifest),
      shard: manifest.metadata.name,
      epoch: 1,
    })),
  };
  writeAtomically(file, `${JSON.stringify(routing, null, 2)}\n`);
}

/** Slots that a shard owns from its genesis on: what the manifest says, else all. */
export function slotsOf(manifest: RoomShard): { readonly first: number; readonly count: number } {
  return manifest.spec.initialSlots ?? { first: 0, count: 4096 };
}

function nextEpoch(file: string): number {
  try {
    const { epoch } = JSON.parse(readFileSync(file, "utf8")) as { epoch?: unknown };
    return typeof epoch === "number" && Number.isSafeInteger(epoch) ? epoch + 1 : 1;
  } catch {
    return 1;
  }
}

/** Writes one edge's configuration and returns its path. */
export function writeEdgeConfig(
  directory: DataDirectory,
  index: number,
  facts: {
    readonly fleet: string;
    readonly port: number;
    readonly metricsPort: number;
    readonly web: string;
  },
): string {
  const file = (...parts: readonly string[]): string => join(directory.path, "edge", ...parts);
  const config = {
    cluster: directory.fleet.cluster,
    fleet: facts.fleet,
    listen: { host: loopback, port: facts.port, metricsPort: facts.metricsPort },
    files: {
      routing: file("routing", "routing.json"),
      cert: file("tls.crt"),
      key: file("tls.key"),
      trust: join(directory.path, "pki", "ca.crt"),
      jwtKeys: file("jwt.json"),
      apiKeys: file("api-keys.json"),
      logins: directory.folder("edge", "logins"),
      web: facts.web,
    },
    allowedOrigins: [`http://${loopback}:${facts.port}`, `http://localhost:${facts.port}`],
    bus: { kind: "direct" },
  };
  const path = directory.file("edge", `edge-${index}.json`);
  writeAtomically(path, `${JSON.stringify(config, null, 2)}\n`);
  return path;
}
