import type { AdminState, AdminStatus } from "#replica/admin/admin-status.ts";
import { fingerprintOf } from "#replica/crypto/volume-key.ts";
import { machineVersions } from "#replica/machine/machine-state.ts";
import type { ReplicaProcess } from "./replica-process.ts";
import type { RunningReplica } from "./running-replica.ts";
import { version } from "./version.ts";

/** What a replica process is doing. */
export function stateOf(process: ReplicaProcess): AdminState {
  if (process.options.poisoned !== null) return "poisoned";
  if (process.running !== null) return process.running.state;
  return process.formatted ? "formatted" : "unformatted";
}

function numbersOf(running: RunningReplica | null) {
  if (running === null) {
    const nothing = { view: null, primary: null, head: null, commitMin: null };
    return { ...nothing, commitMax: null, checkpointOp: null, voting: false, caughtUp: false };
  }
  const { view, primary, head, commitMin, commitMax, checkpointOp, voting } = running.host.replica;
  const { caughtUp } = running;
  return { view, primary, head, commitMin, commitMax, checkpointOp, voting, caughtUp };
}

/** Answer of GET /v1/status. */
export function statusOf(process: ReplicaProcess): AdminStatus {
  const { running, options } = process;
  const superblock = running?.superblock ?? null;
  return {
    replica: options.flags.replica,
    shard: options.config.shard,
    cluster: options.config.cluster,
    state: stateOf(process),
    incarnation: process.key?.incarnation ?? null,
    publicKey: process.key?.publicKey ?? null,
    ...(process.nextKey === null ? {} : { nextKey: process.nextKey }),
    formationId: superblock?.identity.formationId ?? null,
    ...numbersOf(running),
    slots: { owned: superblock?.slots.count ?? 0, epoch: superblock?.slots.epoch ?? 0 },
    version,
    machine: {
      version: running?.host.replica.machineVersion ?? null,
      min: machineVersions.min,
      max: machineVersions.max,
    },
    trustFingerprint: fingerprintOf(Buffer.from(process.trust)),
    peers: running?.sockets.peers() ?? [],
    alarms: running?.host.replica.alarms ?? [],
    message: process.message,
  };
}

/** Why GET /readyz says what it says. */
export function readyReason(process: ReplicaProcess): string {
  const state = stateOf(process);
  if (process.running?.caughtUp) return "ready";
  if (state === "normal") return "not ready: not voting or behind the commits";
  return `not ready: ${state}`;
}
