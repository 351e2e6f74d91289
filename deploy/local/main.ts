// `npm start`: runs the shards of one RoomShard manifest and their edges on this machine.
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { randomHex } from "#operator/pki/proof.ts";
import { type Facts, textOfFacts } from "./banner.ts";
import { Children } from "./children.ts";
import { DataDirectory } from "./data-directory.ts";
import {
  type FleetIdentity,
  openIdentity,
  portsAShard,
  type ShardPlan,
  writeEdgeConfig,
  writeRouting,
  writeShardFiles,
} from "./fleet-files.ts";
import { formShard } from "./formation.ts";
import { createRoom, type StartedEdge, waitUntilReady } from "./edge-start.ts";
import { issueCodes } from "./login-codes.ts";
import { manifestsOf, readManifest } from "./manifest.ts";
import { type MetricsSource, serveMetrics } from "./metrics-page.ts";
import { type Options, parseOptions } from "./options.ts";
import { buildPage } from "./page-build.ts";
import { freePorts, loopback, requireFree } from "./ports.ts";
import { Refusal } from "./refusal.ts";
import { learningFile } from "./learning-mark.ts";
import { setAside, shardOf } from "./set-aside.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const edgeGraceMs = 8_000;
const replicaGraceMs = 15_000;
const firstRoom = "lobby";
const people = [
  { user: "ada", name: "Ada" },
  { user: "grace", name: "Grace" },
];

class LocalRun {
  private readonly options: Options;
  private readonly manifest: RoomShard;
  private readonly directory: DataDirectory;
  private readonly children: Children;
  private readonly sources: MetricsSource[] = [];

  constructor(options: Options, manifest: RoomShard, directory: DataDirectory) {
    this.options = options;
    this.manifest = manifest;
    this.directory = directory;
    this.children = new Children((running) => directory.recordChildren(running));
  }

  async start(): Promise<Facts> {
    const { options, directory } = this;
    const [page, identity, metrics] = await Promise.all([
      buildPage(root),
      openIdentity(directory, Date.now()),
      serveMetrics(() => this.sources),
    ]);
    const manifests = manifestsOf(this.manifest, directory.fleet.shards);
    const ports = await freePorts(manifests.length * portsAShard + options.edges * 2);
    const plans = manifests.map((one, index) =>
      writeShardFiles(directory, one, ports.slice(index * portsAShard)),
    );
    writeRouting(directory, plans);
    if (options.replace !== null) setAside(directory, plans, options.replace);
    if (options.rotateKey !== null) shardOf(plans, options.rotateKey);
    for (const plan of plans) this.startReplicas(plan);
    const logins = issueCodes(directory.folder("edge", "logins"), people, [firstRoom]);
    const edges = this.startEdges(plans, page, ports.slice(manifests.length * portsAShard));
    for (const warning of await this.form(plans, identity)) console.error(warning);
    await Promise.all(edges.map(waitUntilReady));
    const apiKeyFile = join(directory.path, "edge", "api-key");
    const first = edges[0]?.url ?? "";
    await createRoom(first, apiKeyFile, firstRoom);
    return {
      page: `${first}/`,
      edges: edges.map((edge) => edge.url),
      logins,
      metrics: metrics.url,
      data: directory.path,
      apiKeyFile,
      shards: plans.map((plan) => plan.manifest.metadata.name),
      pids: this.children.pids(),
    };
  }

  /** Edges first, so that their clients hear of it; then replicas; nothing is left behind. */
  async stop(): Promise<void> {
    await this.children.stop((name) => name.startsWith("edge-"), edgeGraceMs);
    await this.children.stop(() => true, replicaGraceMs);
    this.directory.release();
  }

  private startReplicas(plan: ShardPlan): void {
    const shard = plan.manifest.metadata.name;
    for (const [replica, place] of plan.places.entries()) {
      const name = `${shard}-${replica}`;
      const data = this.directory.folder("shards", shard, name, "volume");
      const state = this.directory.folder("shards", shard, name, "state");
      const lastWords = lastWordsFile(this.directory, shard, replica);
      rmSync(lastWords, { force: true });
      this.children.start({
        name,
        args: [
          join(root, "replica/server/main.ts"),
          ...["--config", plan.configFile, "--replica", String(replica)],
          ...["--data", data, "--state", state, "--termination-log", lastWords],
        ],
        env: { UV_THREADPOOL_SIZE: "16" },
        log: this.directory.file("logs", `${name}.log`),
      });
      const url = `http://${place.host}:${place.metricsPort}/metrics`;
      this.sources.push({ name, url });
    }
  }

  private startEdges(
    plans: readonly ShardPlan[],
    page: string,
    ports: readonly number[],
  ): readonly StartedEdge[] {
    return Array.from({ length: this.options.edges }, (_, index) => {
      const name = `edge-${index + 1}`;
      const asked = index === 0 ? this.options.port : 0;
      const port = asked === 0 ? (ports[2 * index] ?? 0) : asked;
      const metricsPort = ports[2 * index + 1] ?? 0;
      const fleet = plans[0]?.manifest.spec.fleet ?? "default";
      const facts = { fleet, port, metricsPort, web: page };
      const configFile = writeEdgeConfig(this.directory, index + 1, facts);
      const log = this.directory.file("logs", `${name}.log`);
      this.children.start({
        name,
        args: [join(root, "edge/server/main.ts"), "--config", configFile],
        env: {},
        log,
      });
      this.sources.push({ name, url: `http://${loopback}:${metricsPort}/metrics` });
      const ends = () => this.children.endsOf(name);
      return { name, url: `http://${loopback}:${port}`, log, ends };
    });
  }

  private async form(
    plans: readonly ShardPlan[],
    identity: FleetIdentity,
  ): Promise<readonly string[]> {
    const { cluster } = this.directory.fleet;
    const formed = plans.map((plan) => {
      const shard = plan.manifest.metadata.name;
      const lastWords = [0, 1, 2].map((replica) => lastWordsFile(this.directory, shard, replica));
      const learning = [0, 1, 2].map((replica) => {
        return learningFile(this.directory, shard, `${shard}-${replica}`);
      });
      const indexOf = (name: string | null): number | null => {
        const found = plan.places.findIndex((_, replica) => `${shard}-${replica}` === name);
        return found === -1 ? null : found;
      };
      const replaced = indexOf(this.options.replace);
      const rotated = indexOf(this.options.rotateKey);
      const started = { ...plan, lastWords, learning, replaced, rotated };
      return formShard(cluster, started, identity, Date.now());
    });
    return (await Promise.all(formed)).flat();
  }
}

function lastWordsFile(directory: DataDirectory, shard: string, replica: number): string {
  return directory.file("shards", shard, `${shard}-${replica}`, "last-words");
}

async function main(): Promise<number> {
  const parsed = parseOptions(process.argv.slice(2), join(root, "deploy/examples/roomshard.yaml"));
  if (!("options" in parsed)) {
    (parsed.exitCode === 0 ? console.log : console.error)(parsed.text);
    return parsed.exitCode;
  }
  const { options } = parsed;
  const startedMs = performance.now();
  const manifest = readManifest(options.manifest);
  if (options.port !== 0) await requireFree(options.port);
  const directory = DataDirectory.open(options.data, options.shards, () => randomHex(16));
  const run = new LocalRun(options, manifest, directory);
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => resolve());
    }
  });
  try {
    const facts = await Promise.race([run.start(), stopped]);
    if (facts !== undefined) {
      const tookMs = performance.now() - startedMs;
      console.log(options.json ? JSON.stringify(facts) : textOfFacts(facts, tookMs));
      await stopped;
    }
    if (!options.json) console.log("Stopping.");
  } finally {
    await run.stop();
  }
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
process.exit();
