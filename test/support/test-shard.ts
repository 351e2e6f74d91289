import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AdminClient, type AdminCredentials } from "#operator/pki/admin-client.ts";
import { Authority, createAuthority } from "#operator/pki/authority.ts";
import { edgeUri, operatorUri, replicaUri } from "#operator/pki/identity.ts";
import { randomHex } from "#operator/pki/proof.ts";
import { replaceMember } from "#operator/pki/replace-member.ts";
import { rotateKey } from "#operator/pki/rotate-key.ts";
import { upgradeMachine } from "#operator/pki/upgrade-machine.ts";
import type { AdminStatus } from "#replica/admin/admin-status.ts";
import type { ReplicaConfig } from "#replica/admin/replica-config.ts";
import { clientIdFrom } from "#replica/base/brands.ts";
import { ShardLink, type ShardLinkOptions } from "#replica/transport/shard-link.ts";
import { certify, formShard } from "./form-shard.ts";
import { freePorts } from "./free-ports.ts";
import { replicaBundle } from "./replica-bundle.ts";
import { ReplicaHandle } from "./replica-handle.ts";

/** What a test may choose about its shard. */
export interface TestShardOptions {
  /** Default 64 MiB. */
  readonly walSizeBytes?: number;
  /** Default 20, 100, 150 ms. */
  readonly timing?: ReplicaConfig["timing"];
  /** Background scrub; default: the replica's own. */
  readonly scrub?: ReplicaConfig["scrub"];
  /** Pace of a state sync; default: the replica's own. */
  readonly sync?: ReplicaConfig["sync"];
  /** Goes to the newest version of the machine at once, as the operator has it; default true. */
  readonly upgrade?: boolean;
  /** Where data directories go; default: the system's temporary directory. */
  readonly directory?: string;
  /** Flags for Node before the bundle, such as --cpu-prof. */
  readonly nodeFlags?: readonly string[];
  /** Data directories by replica, such as mounts of a faulty disk; default: in the directory. */
  readonly data?: readonly (string | undefined)[];
  /** Addresses by replica, and the command that starts a program where they are; loopback. */
  readonly network?: {
    readonly hosts: readonly string[];
    readonly enter: readonly (readonly string[])[];
  };
}

/** First port of a replica that has an address of its own. */
const portBase = 7101;

const bundleShard = "lobby";
const slots = { first: 0, count: 4096, epoch: 1 };

async function certified(authority: Authority, uri: string): Promise<AdminCredentials> {
  const { certificate, key } = await authority.issue(uri, Date.now());
  return { cert: certificate, key, ca: authority.certificatePem };
}

/** Three real replica processes on loopback with data directories and certificates of their own. */
export class TestShard {
  readonly directory: string;
  readonly cluster: string;
  readonly replicas: readonly ReplicaHandle[];
  readonly admins: readonly AdminClient[];
  readonly config: ReplicaConfig;
  /** Identity of the role edge, PEM. */
  readonly edgeTls: AdminCredentials;
  private readonly authority: Authority;
  private readonly data: readonly string[];
  private readonly links = new Set<ShardLink>();

  private constructor(parts: {
    directory: string;
    config: ReplicaConfig;
    replicas: readonly ReplicaHandle[];
    admins: readonly AdminClient[];
    edgeTls: AdminCredentials;
    authority: Authority;
    data: readonly string[];
  }) {
    this.authority = parts.authority;
    this.directory = parts.directory;
    this.config = parts.config;
    this.cluster = parts.config.cluster;
    this.replicas = parts.replicas;
    this.admins = parts.admins;
    this.edgeTls = parts.edgeTls;
    this.data = parts.data;
  }

  /** Starts three processes, certifies them, gives genesis, waits until one leads. */
  static async start(options: TestShardOptions = {}): Promise<TestShard> {
    const directory = mkdtempSync(join(options.directory ?? tmpdir(), "tigerchat-shard-"));
    const cluster = randomHex(16);
    const bootstrap = randomHex(32);
    const files = await createAuthority(cluster, Date.now());
    const opened = await Authority.open(files);
    if (!opened.ok) throw new Error(opened.reason);
    const authority = opened.value;
    const config = await configOf(directory, cluster, options);
    writeFileSync(join(directory, "replica.json"), JSON.stringify(config));
    writeFileSync(config.files.trust, authority.certificatePem);
    writeFileSync(config.files.kek, randomHex(32), { mode: 0o600 });
    writeFileSync(config.files.bootstrap, bootstrap, { mode: 0o600 });
    const operator = await certified(authority, operatorUri(cluster));
    const edgeTls = await certified(authority, edgeUri(cluster));
    const admins = config.peers.map((peer, index) => {
      const identity = replicaUri(cluster, config.shard, index);
      return new AdminClient({ host: peer.host, port: peer.adminPort, identity }, operator);
    });
    const bundle = await replicaBundle();
    const data = [0, 1, 2].map((index) => {
      return options.data?.[index] ?? join(directory, `replica-${index}`, "data");
    });
    const replicas = data.map((path, index) => {
      const command = commandOf({ directory, bundle, index, data: path, options });
      return new ReplicaHandle(index, command);
    });
    const shard = new TestShard({ directory, config, replicas, admins, edgeTls, authority, data });
    try {
      for (const replica of replicas) replica.start();
      const { shard: name } = config;
      await formShard({ authority, cluster, shard: name, bootstrap, admins, slots });
      await shard.waitForPrimary();
      if (options.upgrade !== false) await shard.upgrade();
      return shard;
    } catch (error) {
      const lines = replicas.flatMap((replica) => replica.lines.slice(-5));
      await shard.close();
      throw new Error(`the shard did not form; last lines:\n${lines.join("\n")}`, { cause: error });
    }
  }

  /** Takes the shard to the newest version of the machine that its processes know. */
  async upgrade(limitMs = 20_000): Promise<number> {
    const outcome = await upgradeMachine({ admins: this.admins, limitMs });
    if (outcome.kind === "runs") return outcome.version;
    throw new Error(`the machine was not upgraded: ${outcome.why}`);
  }

  /** A new certificate for a replica that runs. */
  async certify(replica: number): Promise<void> {
    const { authority, cluster, admins, config } = this;
    const bootstrap = readFileSync(config.files.bootstrap, "utf8");
    await certify({ authority, cluster, shard: config.shard, bootstrap, admins }, replica);
  }

  /** Another key for a replica on the volume that it has; its public half. */
  async rotateKey(replica: number, limitMs = 30_000): Promise<string> {
    const { authority, cluster, admins, config } = this;
    const bootstrap = readFileSync(config.files.bootstrap, "utf8");
    const { shard } = config;
    const facts = { authority, cluster, shard, bootstrap, admins, replica, nowMs: Date.now() };
    const outcome = await rotateKey({ ...facts, limitMs });
    if (outcome.kind === "refused") throw new Error(`not rotated: ${outcome.why}`);
    return outcome.publicKey;
  }

  /** Kills a replica, empties its volume, and puts a new one in its place, with another key. */
  async replace(index: number, limitMs = 30_000): Promise<void> {
    const { authority, cluster, admins, config } = this;
    await this.replicas[index]?.signal("SIGKILL");
    rmSync(this.dataOf(index), { recursive: true });
    this.replicas[index]?.start();
    const bootstrap = readFileSync(config.files.bootstrap, "utf8");
    const facts = { authority, cluster, shard: config.shard, bootstrap, admins };
    const member = await certify(facts, index);
    const outcome = await replaceMember({ admins, member, limitMs: 20_000 });
    if (outcome.kind === "refused") throw new Error(`not replaced: ${outcome.why}`);
    await this.waitForCaughtUp(index, limitMs);
  }

  /** Live facts of one replica, or null when it does not answer. */
  async status(index: number): Promise<AdminStatus | null> {
    const outcome = await this.admins[index]?.status();
    return outcome?.kind === "ok" ? outcome.value : null;
  }

  /** Waits until a replica says that it leads; its index. */
  async waitForPrimary(limitMs = 20_000): Promise<number> {
    return await this.waitFor("a primary", limitMs, async () => {
      for (const replica of this.replicas) {
        const status = replica.running ? await this.status(replica.index) : null;
        if (status?.caughtUp === true && status.primary === replica.index) return replica.index;
      }
      return null;
    });
  }

  /** Waits until a replica votes and follows. */
  async waitForCaughtUp(index: number, limitMs = 30_000): Promise<AdminStatus> {
    return await this.waitFor(`replica ${index} to catch up`, limitMs, async () => {
      const status = await this.status(index);
      return status?.caughtUp ? status : null;
    });
  }

  /** Polls until `look` gives something; names what was waited for when it does not. */
  async waitFor<T>(what: string, limitMs: number, look: () => Promise<T | null>): Promise<T> {
    const untilMs = performance.now() + limitMs;
    for (;;) {
      const found = await look();
      if (found !== null) return found;
      if (performance.now() > untilMs) {
        const lines = this.replicas.flatMap((replica) => replica.lines.slice(-5));
        throw new Error(`waited ${limitMs} ms for ${what}; last lines:\n${lines.join("\n")}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** A client of the shard; closed with it. */
  link(options: Partial<ShardLinkOptions> = {}): ShardLink {
    const { host: _host, ...rest } = { host: "", ...options };
    const addresses = this.addresses();
    const link = new ShardLink({
      clientId: clientIdFrom(randomHex(16)),
      shard: { name: this.config.shard, cluster: this.cluster, addresses },
      tls: this.edgeTls,
      ...rest,
    });
    this.links.add(link);
    return link;
  }

  /** Client ports of the three replicas. */
  addresses(): ShardLinkOptions["shard"]["addresses"] {
    const [a, b, c] = this.config.peers.map((peer) => ({ host: peer.host, port: peer.clientPort }));
    if (a === undefined || b === undefined || c === undefined) throw new Error("three peers");
    return [a, b, c];
  }

  /** Metrics of one replica in Prometheus' text format. */
  async metrics(index: number): Promise<string> {
    const { host, metricsPort } = this.config.peers[index] ?? {};
    const response = await fetch(`http://${host}:${metricsPort}/metrics`);
    return await response.text();
  }

  /** Data directory of one replica. */
  dataOf(index: number): string {
    return this.data[index] ?? "";
  }

  /** State directory of one replica: what outlives its process, not its machine. */
  stateOf(index: number): string {
    return join(this.directory, `replica-${index}`, "state");
  }

  /** Ends the processes by pid and removes the data. */
  async close(options: { readonly keep?: boolean; readonly gently?: boolean } = {}): Promise<void> {
    for (const link of this.links) link.close();
    const signal = options.gently === true ? "SIGTERM" : "SIGKILL";
    await Promise.all(this.replicas.map((replica) => replica.signal(signal)));
    if (options.keep !== true) rmSync(this.directory, { recursive: true, force: true });
  }
}

async function configOf(
  directory: string,
  cluster: string,
  options: TestShardOptions,
): Promise<ReplicaConfig> {
  const { hosts } = options.network ?? {};
  const own = [portBase, portBase + 1, portBase + 2, portBase + 3];
  const ports = hosts === undefined ? await freePorts(12) : [...own, ...own, ...own];
  const peers = [0, 1, 2].map((index) => {
    const [peerPort = 0, clientPort = 0, adminPort = 0, metricsPort = 0] = ports.slice(4 * index);
    const host = hosts?.[index] ?? "127.0.0.1";
    return { host, peerPort, clientPort, adminPort, metricsPort };
  });
  return {
    cluster,
    shard: bundleShard,
    fleet: "default",
    peers,
    listen: { host: hosts === undefined ? "127.0.0.1" : "0.0.0.0" },
    walSizeBytes: options.walSizeBytes ?? 64 * 1024 * 1024,
    timing: options.timing ?? { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 },
    quorum: { replication: 2, viewChange: 2 },
    keys: { windowHours: 24, max: 100_000_000 },
    files: {
      trust: join(directory, "ca.crt"),
      kek: join(directory, "kek"),
      bootstrap: join(directory, "bootstrap"),
    },
    log: { level: "info" },
    ...(options.scrub === undefined ? {} : { scrub: options.scrub }),
    ...(options.sync === undefined ? {} : { sync: options.sync }),
  };
}

function commandOf(parts: {
  readonly directory: string;
  readonly bundle: string;
  readonly index: number;
  readonly data: string;
  readonly options: TestShardOptions;
}): readonly string[] {
  const { directory, bundle, index, data, options } = parts;
  const state = join(directory, `replica-${index}`, "state");
  mkdirSync(state, { recursive: true });
  return [
    ...(options.network?.enter[index] ?? []),
    process.execPath,
    ...(options.nodeFlags ?? []),
    bundle,
    ...["--config", join(directory, "replica.json")],
    ...["--replica", String(index)],
    ...["--data", data],
    ...["--state", state],
  ];
}
