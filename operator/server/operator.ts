import { hostname } from "node:os";
import { KubeConfig } from "@kubernetes/client-node";
import { pino } from "pino";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { EventRecorder } from "#operator/kube/event-recorder.ts";
import { KubeClient, requestTimeoutMs } from "#operator/kube/kube-client.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { LeaseElection, leaseTimes } from "#operator/kube/lease.ts";
import { PendingWrites } from "#operator/kube/pending-writes.ts";
import { WorkQueue } from "#operator/kube/work-queue.ts";
import { randomHex } from "#operator/pki/proof.ts";
import { AppliedObjects } from "#operator/reconcile/applied-objects.ts";
import type { Context, Log } from "#operator/reconcile/context.ts";
import { Controller } from "#operator/reconcile/controller.ts";
import { Fleets } from "#operator/reconcile/fleets.ts";
import { Mirrors } from "#operator/reconcile/mirrors.ts";
import { prepareFleets } from "#operator/reconcile/prepare-fleets.ts";
import { AuditTrail } from "#operator/reconcile/audit-trail.ts";
import { PeerCertificates } from "#operator/reconcile/peer-certificates.ts";
import type { OperatorFlags } from "./flags.ts";
import { startHealthServer } from "./health-server.ts";
import { type OperatorRegistry, operatorRegistry } from "./registry.ts";

/** How often the files of the fleets are looked after, for edges without shards. */
const prepareMs = 30_000;
/** Every so often each shard is looked at even if nothing seems to have happened; with jitter. */
const resyncMs = 10 * 3600 * 1000;

/** The operator: stands for election, then reconciles until it is stopped or not elected. */
export class Operator {
  private readonly flags: OperatorFlags;
  private readonly log: Log;
  private readonly registry: OperatorRegistry = operatorRegistry();
  private readonly queue = new WorkQueue();
  private readonly client: KubeClient;
  private readonly mirrors: Mirrors;
  private readonly election: LeaseElection;
  private readonly identity = `${hostname()}_${randomHex(4)}`;
  private controller: Controller | undefined;
  private ready = false;

  constructor(flags: OperatorFlags) {
    this.flags = flags;
    this.log = pino({ level: flags.logLevel, base: null });
    this.client = this.newClient(50);
    this.mirrors = new Mirrors(this.client, flags.namespace, {
      shardChanged: (key) => this.queue.add(key),
      failed: (kind, error) => this.log.warn({ kind, error }, "watch failed"),
      alive: (kind) => this.registry.watchAlive(kind),
    });
    this.election = new LeaseElection({
      // Two tries must fit into the deadline of a renewal.
      client: this.newClient(5, leaseTimes.renewDeadlineMs / 2),
      namespace: flags.ownNamespace,
      name: flags.leaseName,
      identity: this.identity,
    });
  }

  /** Runs until the lease is lost or {@link stop} was called. */
  async run(): Promise<"lost" | "stopped"> {
    const { metricsHost, metricsPort } = this.flags;
    const { server, port } = await startHealthServer(metricsHost, metricsPort, {
      healthy: () => true,
      ready: () => this.ready,
      metrics: () => this.registry.scrape(this.queue.depth, this.statuses()),
    });
    this.log.info({ port, identity: this.identity }, "listening");
    this.ready = true;
    try {
      if (!(await this.election.acquire())) return "stopped";
      this.registry.elected(true);
      this.log.info({ identity: this.identity }, "elected");
      const holding = this.election.hold();
      await Promise.race([holding, this.mirrors.start()]);
      const context = this.context();
      this.controller = new Controller(context, this.queue);
      this.controller.start();
      const preparing = setInterval(() => void this.prepare(context), prepareMs);
      await this.prepare(context);
      const resync = setInterval(() => this.resync(), resyncMs * (0.9 + 0.2 * Math.random()));
      await holding;
      clearInterval(resync);
      clearInterval(preparing);
      this.registry.elected(false);
      return this.controller === undefined ? "stopped" : "lost";
    } finally {
      server.close();
      server.closeAllConnections();
    }
  }

  /** Ends the rounds that run and frees the lease. */
  async stop(): Promise<void> {
    const { controller } = this;
    this.controller = undefined;
    await controller?.stop();
    await this.election.release();
    this.queue.close();
    await this.mirrors.stop();
  }

  private async prepare(context: Context): Promise<void> {
    try {
      await prepareFleets(context, this.flags.fleets, this.flags.ownDeployment);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.log.warn({ error: message }, "the files of the fleets could not be made");
    }
  }

  private context(): Context {
    const { flags, log, client, mirrors, registry } = this;
    const failed = (error: string): void => log.warn({ error }, "event not recorded");
    return {
      options: {
        namespace: flags.namespace,
        operatorNamespace: flags.ownNamespace,
        replicaImage: flags.replicaImage,
        imagePullPolicy: flags.imagePullPolicy,
        imagePullSecrets: flags.imagePullSecrets,
      },
      client,
      mirrors,
      events: new EventRecorder(client, this.identity, failed),
      metrics: registry,
      log,
      pending: new PendingWrites(),
      applied: new AppliedObjects(),
      fleets: new Fleets(client),
      certificates: new PeerCertificates(),
      audit: new AuditTrail(),
      secretsCheckedMs: new Map(),
      statusWrittenMs: new Map(),
    };
  }

  private newClient(ratePerSecond: number, timeoutMs = requestTimeoutMs): KubeClient {
    const config = new KubeConfig();
    config.loadFromDefault();
    const observe = (method: string, status: number): void => this.registry.request(method, status);
    return new KubeClient(config, ratePerSecond, observe, timeoutMs);
  }

  private resync(): void {
    for (const { metadata } of this.mirrors.all(kinds.roomShard)) {
      this.queue.add(`${metadata.namespace ?? ""}/${metadata.name}`);
    }
  }

  private statuses() {
    const shards = this.mirrors.all(kinds.roomShard) as readonly Partial<RoomShard>[];
    return shards.map(({ status }) => status);
  }
}
