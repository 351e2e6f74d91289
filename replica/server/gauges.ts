import { monitorEventLoopDelay } from "node:perf_hooks";
import { adminStates } from "#replica/admin/admin-status.ts";
import { certificateFacts } from "#replica/crypto/volume-key.ts";
import type { Meters } from "./meters.ts";
import type { ReplicaProcess } from "./replica-process.ts";
import type { RunningReplica } from "./running-replica.ts";
import { stateOf } from "./status.ts";
import { version } from "./version.ts";

/** Resolution of the event loop's delay histogram, ms. */
const loopResolutionMs = 5;

function setReplica(meters: Meters, running: RunningReplica): void {
  const { replica, counts, clients } = running.host;
  meters.set("shardIsLeader", running.leads ? 1 : 0);
  meters.set("shardView", replica.view);
  meters.set("shardHeadOp", replica.head);
  meters.set("shardCommitOp", replica.commitMin);
  meters.set("shardCheckpointOp", replica.checkpointOp);
  meters.set("shardViewChanges", counts.viewChanges);
  meters.set("replicaVoting", replica.voting ? 1 : 0);
  meters.set("replicaLag", Math.max(0, replica.commitMax - replica.commitMin));
  meters.set("replicaOperations", clients.counts.operations);
  meters.set("replicaPrepares", counts.prepares);
  meters.set("replicaCheckpoints", counts.checkpoints);
  meters.set("replicaMerges", counts.merges);
  meters.set("replicaSweeps", counts.sweptSegments, { outcome: "rewritten" });
  meters.set("replicaSweeps", counts.sweeps - counts.sweptSegments, { outcome: "kept" });
  meters.set("replicaSweptBytes", counts.sweptBytes);
  meters.set("replicaAlarms", counts.alarms);
  meters.set("replicaAlarmsStanding", running.host.replica.alarms.length);
  meters.set("shardLastCommit", running.host.lastCommitWallMs / 1000);
  for (const [reason, count] of Object.entries(clients.counts.rejects)) {
    meters.set("replicaRejects", count, { reason });
  }
  for (const [code, count] of Object.entries(clients.counts.reads)) {
    meters.set("replicaReads", count, { code });
  }
  const depths = { ...clients.depths, repairs: running.host.blocks.repairsCount };
  for (const [queue, depth] of Object.entries(depths)) {
    meters.set("replicaQueueDepth", depth, { queue });
  }
  meters.set("replicaConnections", clients.connectionsCount, { kind: "client" });
  meters.set("replicaMachineVersion", running.host.replica.machineVersion);
  running.sockets.setMetrics(meters);
  setScrub(meters, running);
  setProofs(meters, running);
}

function setProofs(meters: Meters, { host: { proofs } }: RunningReplica): void {
  if (proofs === null) return;
  const { latest, forked } = proofs.cosigning;
  meters.set("shardLogSize", latest?.size ?? 0);
  meters.set("shardLogSigned", latest?.timeS ?? 0);
  meters.set("replicaLogForked", forked ? 1 : 0);
}

function setScrub(meters: Meters, { scrubbing }: RunningReplica): void {
  if (scrubbing === null) return;
  const { bytes, rounds, faults } = scrubbing.counts;
  meters.set("replicaScrubbed", bytes);
  meters.set("replicaScrubRounds", rounds);
  for (const [zone, count] of Object.entries(faults)) {
    meters.set("replicaScrubFaults", count, { zone });
  }
}

/** Brings gauges and counters that others keep up to date, once a scrape. */
export class Gauges {
  private readonly meters: Meters;
  private readonly process: ReplicaProcess;
  private readonly loop = monitorEventLoopDelay({ resolution: loopResolutionMs });

  /** Starts to watch the event loop's delay. */
  constructor(meters: Meters, process: ReplicaProcess) {
    this.meters = meters;
    this.process = process;
    this.loop.enable();
    const { shard } = process.options.config;
    const replica = String(process.options.flags.replica);
    meters.set("replicaInfo", 1, { shard, replica, version });
  }

  /** The metrics in Prometheus' text format, as of now. */
  async text(): Promise<string> {
    const { meters } = this;
    const state = stateOf(this.process);
    for (const name of adminStates) {
      meters.set("replicaState", name === state ? 1 : 0, { state: name });
    }
    const { running, chain } = this.process;
    if (running !== null) setReplica(meters, running);
    const facts = chain === null ? null : certificateFacts(chain);
    meters.set("replicaCertificateExpiry", (facts?.notAfterMs ?? 0) / 1000);
    this.setProcess();
    return await meters.text();
  }

  private setProcess(): void {
    const { loop, meters } = this;
    for (const quantile of [50, 99, 100]) {
      const delayMs = loop.percentile(quantile) / 1e6 - loopResolutionMs;
      const label = { quantile: String(quantile / 100) };
      meters.set("replicaLoopLag", Math.max(0, delayMs) / 1000, label);
    }
    loop.reset();
    meters.set("processMemory", process.memoryUsage.rss());
    const cpu = process.cpuUsage();
    meters.set("processCpu", (cpu.user + cpu.system) / 1e6);
  }
}
