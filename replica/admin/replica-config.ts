import { quorumReplication, replicasCount, walSlotBytes } from "#replica/base/limits.ts";
import {
  completeTiming,
  quorumProblem,
  type QuorumSizes,
  type Timing,
  timingBounds,
  type TimingConfig,
  timingProblem,
} from "#replica/base/timing.ts";
import { checkedFromText, Fields, type Checked } from "./checked.ts";
import { filePath, hex32, hostName, shardName } from "./patterns.ts";

/** Where one replica is reached, and on which ports it listens. */
export interface ReplicaAddress {
  readonly host: string;
  readonly peerPort: number;
  readonly clientPort: number;
  readonly adminPort: number;
  /** Plain HTTP: metrics and health. */
  readonly metricsPort: number;
}

/** How loud the log is. */
export type LogLevel = (typeof logLevels)[number];

/** The configuration file of a replica process; the same file for the three of a shard. */
export interface ReplicaConfig {
  /** Name of the fleet's cluster, 32 hex digits. */
  readonly cluster: string;
  readonly shard: string;
  readonly fleet: string;
  /** Three, in the order of their index. */
  readonly peers: readonly ReplicaAddress[];
  /** Address to bind to; the ports are this replica's in `peers`. */
  readonly listen: { readonly host: string };
  /** Bytes of the prepares ring: whole slots of 128 KiB, from 32 MiB. */
  readonly walSizeBytes: number;
  /** Times; what is absent follows from heartbeatMs, suspectMs and viewChangeMs. */
  readonly timing: TimingConfig;
  readonly quorum: QuorumSizes;
  /** How long and how many idempotency keys are remembered. */
  readonly keys: { readonly windowHours: number; readonly max: number };
  /** Paths. `kek` and `bootstrap`: 32 bytes as 64 hex digits. */
  readonly files: { readonly trust: string; readonly kek: string; readonly bootstrap: string };
  readonly log: { readonly level: LogLevel };
  /** Background reading of what lies on the disk: bytes a second at most, 0 = none. */
  readonly scrub?: { readonly bytesPerS: number };
  /** State sync from a peer: bytes a second at most, 50 MiB unless said. */
  readonly sync?: { readonly bytesPerS: number };
}

/** Bytes of the smallest WAL. */
export const walSizeBytesMin = 32 * 1024 * 1024;
/** Bytes of the largest WAL. */
export const walSizeBytesMax = 16 * 1024 ** 3;

const members = [
  ..."cluster shard fleet peers listen walSizeBytes timing quorum keys files log".split(" "),
  ..."scrub sync".split(" "),
];
const logLevels = ["debug", "info", "warn", "error"] as const;
const ports = ["peerPort", "clientPort", "adminPort", "metricsPort"] as const;

function addressFrom(fields: Fields): ReplicaAddress {
  const port = (name: string) => fields.integer(name, 1, 65535);
  return {
    host: fields.text("host", hostName, "a host name or an address"),
    peerPort: port("peerPort"),
    clientPort: port("clientPort"),
    adminPort: port("adminPort"),
    metricsPort: port("metricsPort"),
  };
}

function refuseSharedPorts(fields: Fields, peers: readonly ReplicaAddress[]): void {
  const used = new Set<string>();
  for (const peer of peers) {
    for (const name of ports) {
      const place = `${peer.host}:${peer[name]}`;
      if (used.has(place)) fields.refuse("peers", `use ${place} twice`);
      used.add(place);
    }
  }
}

const coreTimes = ["heartbeatMs", "suspectMs", "viewChangeMs"] as const;

function timingFrom(fields: Fields): TimingConfig {
  const time = (name: keyof Timing) => fields.integer(name, ...timingBounds[name]);
  const [heartbeatMs, suspectMs, viewChangeMs] = coreTimes.map(time);
  const core = {
    heartbeatMs: heartbeatMs ?? 0,
    suspectMs: suspectMs ?? 0,
    viewChangeMs: viewChangeMs ?? 0,
  };
  const names = Object.keys(timingBounds) as (keyof Timing)[];
  const said = names.filter((name) => fields.has(name)).map((name) => [name, time(name)]);
  const timing: TimingConfig = { ...core, ...Object.fromEntries(said) };
  const problem = timingProblem(completeTiming(timing));
  if (problem !== null) fields.refuse(problem.member, problem.what);
  return timing;
}

function quorumFrom(fields: Fields): QuorumSizes {
  const size = (name: keyof QuorumSizes) => fields.integer(name, 1, replicasCount);
  const quorum = { replication: size("replication"), viewChange: size("viewChange") };
  const problem = quorumProblem(quorum);
  if (problem !== null) fields.refuse(problem.member, problem.what);
  // What may be dropped in a view change follows from the replication quorum, and is 2 everywhere.
  if (quorum.replication !== quorumReplication) fields.refuse("replication", "must be 2");
  return quorum;
}

function walSizeFrom(fields: Fields): number {
  const bytes = fields.integer("walSizeBytes", walSizeBytesMin, walSizeBytesMax);
  if (bytes % walSlotBytes !== 0) {
    fields.refuse("walSizeBytes", `must be a multiple of ${walSlotBytes}`);
  }
  return bytes;
}

/** Checks a parsed configuration file. */
export function checkReplicaConfig(value: unknown): Checked<ReplicaConfig> {
  const fields = new Fields(value, members);
  const peers = fields.objects("peers", 3, 3, ["host", ...ports]).map(addressFrom);
  refuseSharedPorts(fields, peers);
  const listen = fields.object("listen", ["host"]);
  const keys = fields.object("keys", ["windowHours", "max"]);
  const files = fields.object("files", ["trust", "kek", "bootstrap"]);
  const scrub = fields.optional("scrub", ["bytesPerS"]);
  const sync = fields.optional("sync", ["bytesPerS"]);
  const path = (name: string) => files.text(name, filePath, "a path");
  return fields.finish({
    cluster: fields.text("cluster", hex32, "32 hex digits"),
    shard: fields.text("shard", shardName, "a shard's name (a-z, 0-9, -; at most 40)"),
    fleet: fields.text("fleet", shardName, "a fleet's name (a-z, 0-9, -; at most 40)"),
    peers,
    listen: { host: listen.text("host", hostName, "an address to bind to") },
    walSizeBytes: walSizeFrom(fields),
    timing: timingFrom(fields.object("timing", Object.keys(timingBounds))),
    quorum: quorumFrom(fields.object("quorum", ["replication", "viewChange"])),
    keys: {
      windowHours: keys.integer("windowHours", 1, 24 * 30),
      max: keys.integer("max", 1, 10 ** 9),
    },
    files: { trust: path("trust"), kek: path("kek"), bootstrap: path("bootstrap") },
    log: { level: fields.object("log", ["level"]).word("level", logLevels) },
    ...(scrub === null ? {} : { scrub: { bytesPerS: scrub.integer("bytesPerS", 0, 2 ** 30) } }),
    ...(sync === null ? {} : { sync: { bytesPerS: sync.integer("bytesPerS", 2 ** 16, 2 ** 30) } }),
  });
}

/** Reads the text of a configuration file. */
export function parseReplicaConfig(json: string): Checked<ReplicaConfig> {
  return checkedFromText(json, checkReplicaConfig);
}
