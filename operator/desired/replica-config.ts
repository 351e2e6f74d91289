import { assert } from "#replica/base/assert.ts";
import { replicasCount, walSlotBytes } from "#replica/base/limits.ts";
import { bytesOfQuantity } from "#operator/api/quantity.ts";
import type { RoomShard } from "#operator/api/room-shard.ts";

/** Where one replica is reached; the shape of `peers` in the replica's file. */
export interface ReplicaPlace {
  readonly host: string;
  readonly peerPort: number;
  readonly clientPort: number;
  readonly adminPort: number;
  readonly metricsPort: number;
}

/** What the manifest does not say: depends on where the shard runs. */
export interface ReplicaConfigPlaces {
  /** Identity of the fleet, 32 hex digits. */
  readonly cluster: string;
  /** Three, in the order of their index. */
  readonly peers: readonly ReplicaPlace[];
  /** Address to bind to. */
  readonly listenHost: string;
  /** Paths as the replica process sees them. */
  readonly files: { readonly trust: string; readonly kek: string; readonly bootstrap: string };
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/**
 * The configuration file of a shard's replicas (replica/admin checks it), as JSON text; the same
 * for all three. Rendered here for the operator and for the local runner alike.
 */
export function replicaConfigOf(shard: RoomShard, places: ReplicaConfigPlaces): string {
  assert(places.peers.length === replicasCount, "DES-01: peers");
  const { spec, metadata } = shard;
  const config = {
    cluster: places.cluster,
    shard: metadata.name,
    fleet: spec.fleet,
    peers: places.peers,
    listen: { host: places.listenHost },
    walSizeBytes: bytesOfQuantity(spec.storage.walSize, walSlotBytes),
    timing: spec.timing,
    quorum: spec.quorum,
    keys: spec.keys,
    files: places.files,
    log: { level: places.logLevel },
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
