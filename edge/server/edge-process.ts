import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { apiKeysFrom } from "#edge/auth/api-keys.ts";
import { signingKeysFrom } from "#edge/auth/signing-keys.ts";
import { DirectBus } from "#edge/bus/direct-bus.ts";
import { Hub } from "#edge/bus/hub.ts";
import { Shards } from "#edge/bus/shards.ts";
import { makeHttpServer } from "#edge/http/http-server.ts";
import type { Streams } from "#edge/http/stream-routes.ts";
import { KeyedBuckets } from "#edge/limit/keyed-buckets.ts";
import { RoutingTable } from "#edge/routing/routing-table.ts";
import { Sockets } from "#edge/ws/sockets.ts";
import { hexFrom } from "#replica/base/bytes.ts";
import { clientIdFrom } from "#replica/base/brands.ts";
import { random } from "#replica/crypto/hash.ts";
import type { TlsMaterial } from "#replica/transport/shard-link.ts";
import { ConfigError } from "./config.ts";
import type { EdgeConfig } from "./config.ts";
import { Meters } from "./meters.ts";
import { startMetricsServer } from "./metrics-server.ts";
import type { MetricsServer } from "./metrics-server.ts";
import { TokenGate } from "./token-gate.ts";
import { WatchedFiles } from "./watched-files.ts";

/** A shard may be away for this long at the start before the edge calls itself ready without it. */
const startupGraceMs = 10_000;

interface Parts {
  readonly config: EdgeConfig;
  readonly log: Logger;
  readonly files: WatchedFiles;
  readonly gate: TokenGate;
  readonly meters: Meters;
}

/** The assembled edge: shards, hub, sockets, HTTP, metrics; starts, re-reads its files, drains. */
export class EdgeProcess {
  private readonly config: EdgeConfig;
  private readonly log: Logger;
  private readonly files: WatchedFiles;
  private readonly gate: TokenGate;
  private readonly meters: Meters;
  private readonly shards: Shards;
  private readonly hub: Hub;
  private readonly sockets: Sockets;
  private readonly tenantPosts: KeyedBuckets;
  private readonly startedMs = performance.now();
  private app: FastifyInstance | null = null;
  private streams: Streams | null = null;
  private metricsServer: MetricsServer | null = null;
  private draining = false;

  private constructor({ config, log, files, gate, meters }: Parts) {
    this.config = config;
    this.log = log;
    this.files = files;
    this.gate = gate;
    this.meters = meters;
    this.shards = this.dialShards();
    this.hub = new Hub(this.shards, new DirectBus(this.shards), config.limits.roomsMax, () =>
      files.look(),
    );
    this.tenantPosts = new KeyedBuckets(config.limits.tenantPosts, 10_000, performance.now());
    const { limits, allowedOrigins } = config;
    const { hub, tenantPosts } = this;
    this.sockets = new Sockets({
      hub,
      gate,
      limits,
      allowedOrigins,
      tenantPosts,
      refusing: () => (this.draining ? "This edge is draining." : null),
    });
  }

  /** Reads all files, dials the shards, listens. Throws ConfigError for what a person must fix. */
  static async start(config: EdgeConfig, log: Logger): Promise<EdgeProcess> {
    const files = new WatchedFiles((file, error) => log.warn({ file, error }, "file unreadable"));
    const read = (file: string, changed: (text: string) => void): string => {
      try {
        return files.read(file, changed);
      } catch (error) {
        throw new ConfigError(`The file ${file} cannot be read: ${String(error)}.`);
      }
    };
    const { jwtKeys, apiKeys, logins = null } = config.files;
    let gate: TokenGate | null = null;
    const keys = signingKeysFrom(read(jwtKeys, (text) => void rotate(text)));
    const known = apiKeysFrom(read(apiKeys, (text) => reload(text)));
    if (!keys.ok) throw new ConfigError(`The token keys ${jwtKeys} are malformed: ${keys.reason}.`);
    if (!known.ok) throw new ConfigError(`The API keys ${apiKeys} are malformed: ${known.reason}.`);
    const issuer = `tigerchat:${config.cluster}:${config.fleet}`;
    gate = await TokenGate.open(keys.value, known.value, issuer, logins);
    async function rotate(text: string): Promise<void> {
      const next = signingKeysFrom(text);
      if (next.ok) await gate?.setSigningKeys(next.value);
      else log.warn({ file: jwtKeys, reason: next.reason }, "file refused");
    }
    function reload(text: string): void {
      const next = apiKeysFrom(text);
      if (next.ok) gate?.setApiKeys(next.value);
      else log.warn({ file: apiKeys, reason: next.reason }, "file refused");
    }
    const edge = new EdgeProcess({ config, log, files, gate, meters: new Meters() });
    await edge.listen();
    return edge;
  }

  /** Port that clients connect to. */
  get port(): number {
    return (this.app?.server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** Port of the metrics. */
  get metricsPort(): number {
    return this.metricsServer?.port ?? 0;
  }

  /** Not ready any more, asks clients to leave, waits for them, closes everything. */
  async drain(): Promise<void> {
    if (this.draining) return;
    this.draining = true;
    const windowMs = this.config.drainWindowMs;
    this.log.info({ connections: this.sockets.count, windowMs }, "draining");
    this.streams?.drain(windowMs);
    await this.sockets.drain(windowMs);
    await this.app?.close();
    this.files.close();
    this.hub.close();
    this.shards.close();
    this.metricsServer?.close();
    this.log.info("stopped");
  }

  private dialShards(): Shards {
    const { files, config, log } = this;
    const { routing, cert, key, trust } = config.files;
    const table = RoutingTable.parse(files.read(routing, () => this.reroute()));
    if (!table.ok) {
      throw new ConfigError(`The routing file ${routing} is malformed: ${table.reason}.`);
    }
    if (table.value.file.cluster !== config.cluster) {
      throw new ConfigError(`The routing file ${routing} is of another cluster.`);
    }
    for (const file of [cert, key, trust]) {
      files.read(file, () => this.shards.setTls(this.tls()));
    }
    return new Shards(table.value, this.tls(), {
      clientId: clientIdFrom(hexFrom(random(16))),
      events: {
        onEntries: (name, entries) => this.hub.entries(name, entries),
        onWatched: (name, answer) => this.hub.watched(name, answer),
        onMoved: () => files.look(),
        onPosted: (ms) => this.meters.observe("postSeconds", ms / 1000),
        onLog: (shard, what, facts) => log.info({ shard, ...facts }, what),
      },
    });
  }

  private tls(): TlsMaterial {
    const { cert, key, trust } = this.config.files;
    const { files } = this;
    return { cert: files.last(cert), key: files.last(key), ca: files.last(trust) };
  }

  private reroute(): void {
    const { routing } = this.config.files;
    const outcome = this.shards.reroute(this.files.last(routing));
    if (outcome.ok) {
      this.log.info({ epoch: this.shards.epoch }, "routing changed");
      this.hub.rerouted();
    } else if (outcome.reason !== "stale") {
      this.log.warn({ file: routing, reason: outcome.reason }, "file refused");
    }
  }

  private async listen(): Promise<void> {
    const { config, hub, gate, tenantPosts } = this;
    const { limits, allowedOrigins, publicUrl, trustProxy, listen } = config;
    const { app, streams } = await makeHttpServer(
      {
        hub,
        gate,
        limits,
        allowedOrigins,
        publicUrl,
        trustProxy,
        tenantPosts,
        web: config.files.web ?? null,
        refusing: () => this.notReady(),
      },
      (error) => this.log.error({ error }, "call failed"),
    );
    await this.sockets.register(app);
    this.app = app;
    this.streams = streams;
    await this.orRefuse(listen.port, async () => {
      await app.listen({ host: listen.host, port: listen.port });
    });
    await this.orRefuse(listen.metricsPort, async () => {
      this.metricsServer = await startMetricsServer(listen.host, listen.metricsPort, {
        notReady: () => this.notReady(),
        text: async () => await this.metricsText(),
      });
    });
    this.files.start();
    this.log.info({ port: this.port, metricsPort: this.metricsPort }, "listening");
  }

  private async orRefuse(port: number, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const { host } = this.config.listen;
      const busy = (error as { readonly code?: unknown }).code === "EADDRINUSE";
      throw new ConfigError(
        busy
          ? `The port ${port} of ${host} is in use: choose another in the configuration.`
          : `Port ${port} of ${host} cannot be opened: ${String(error)}.`,
      );
    }
  }

  private notReady(): string | null {
    if (this.draining) return "draining";
    // Before a fleet's first shard there is nothing to wait for: whoever comes is told so.
    if (this.shards.ready || this.shards.all().length === 0) return null;
    const starting = performance.now() - this.startedMs < startupGraceMs;
    const some = this.shards.all().some(({ link }) => link.view.primary !== null);
    return some && !starting ? null : "no primary is known of a shard";
  }

  private async metricsText(): Promise<string> {
    const { meters, sockets, hub } = this;
    const { counts } = sockets;
    const { fanout } = hub;
    meters.set("connections", sockets.count);
    meters.set("streams", this.streams?.count ?? 0);
    meters.set("connectionsOpened", counts.opened);
    meters.set("connectionsRefused", counts.refused);
    meters.set("connectionsTerminated", counts.terminated);
    meters.set("framesReceived", counts.framesIn);
    meters.set("socketWrites", counts.writes);
    meters.set("sentBytes", counts.bytesOut);
    meters.set("posts", counts.posts - counts.postsFailed, { outcome: "ok" });
    meters.set("posts", counts.postsFailed, { outcome: "failed" });
    meters.set("rooms", fanout.roomsCount);
    meters.set("deliveries", fanout.counts.events);
    meters.set("gaps", fanout.counts.gaps);
    meters.set("recoveries", fanout.counts.recovered, { result: "recovered" });
    meters.set("recoveries", fanout.counts.unrecovered, { result: "refused" });
    meters.set("malformed", hub.malformedCount);
    meters.set("moved", hub.movedCount);
    meters.set("routingEpoch", this.shards.epoch);
    meters.set("draining", this.draining ? 1 : 0);
    for (const { name: shard, link, poster } of this.shards.all()) {
      meters.set("operations", poster.counts.operations, { shard });
      meters.set("batches", poster.counts.batches, { shard });
      meters.set("unknownOutcomes", poster.counts.unknown, { shard });
      meters.set("shardPrimary", link.view.primary === null ? 0 : 1, { shard });
    }
    return await meters.text();
  }
}
