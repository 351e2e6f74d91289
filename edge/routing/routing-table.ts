import { slotsCount } from "#replica/base/limits.ts";
import { fail, ok } from "#replica/base/result.ts";
import type { Result } from "#replica/base/result.ts";
import { slotOfRoom } from "#replica/base/slots.ts";
import { auditRoom } from "#replica/wire/audit-room.ts";
import type { RoomName } from "#replica/wire/client-message.ts";

/** Where a replica's client port is dialled. */
export interface RoutingAddress {
  readonly host: string;
  readonly port: number;
}

/** A shard and its three replicas, by index. */
export interface RoutingShard {
  readonly name: string;
  readonly addresses: readonly [RoutingAddress, RoutingAddress, RoutingAddress];
}

/** A range of slots in one slot space. */
export interface RoutingRange {
  /** "" = the space of all tenants that have none of their own. */
  readonly tenant: string;
  readonly first: number;
  readonly count: number;
  readonly shard: string;
  readonly epoch: number;
}

/** The file that the operator publishes: a hint, never the truth; the shards' logs are. */
export interface RoutingFile {
  readonly fleet: string;
  readonly cluster: string;
  readonly epoch: number;
  readonly shards: readonly RoutingShard[];
  readonly slots: readonly RoutingRange[];
}

/** Why a routing file is refused. */
export type RoutingFault = "json" | "form" | "shard" | "slots" | "overlap" | "cluster" | "stale";

/** Which shard has which room, as of one epoch. Immutable. */
export class RoutingTable {
  readonly file: RoutingFile;
  private readonly spaces = new Map<string, readonly (string | null)[]>();

  private constructor(file: RoutingFile) {
    this.file = file;
  }

  /** Parses and checks a routing file. */
  static parse(text: string): Result<RoutingTable, RoutingFault> {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return fail("json");
    }
    if (!isRoutingFile(value)) return fail("form");
    const table = new RoutingTable(value);
    const fault = table.fill();
    return fault === null ? ok(table) : fail(fault);
  }

  /**
   * The table to use after reading a file again: the new one if it is of the same cluster and of a
   * later epoch, else a reason; a lower or equal epoch is `stale` and ignored.
   */
  succeed(next: RoutingTable): Result<RoutingTable, RoutingFault> {
    if (next.file.cluster !== this.file.cluster) return fail("cluster");
    return next.file.epoch > this.file.epoch ? ok(next) : fail("stale");
  }

  /** The shard's own audit room, or null when there is no such shard. */
  auditRoomOf(shard: string): RoomName | null {
    const space = this.spaces.get("");
    return auditRoom((slot) => space?.[slot] === shard);
  }

  /** Name of the shard that has a room, or null when its slot belongs to nobody. */
  shardOf(tenant: string, room: string): string | null {
    const space = this.spaces.get(tenant) ?? this.spaces.get("");
    return space?.[slotOfRoom(tenant, room)] ?? null;
  }

  private fill(): RoutingFault | null {
    const names = new Set(this.file.shards.map((shard) => shard.name));
    if (names.size !== this.file.shards.length) return "shard";
    const spaces = new Map<string, (string | null)[]>();
    for (const range of this.file.slots) {
      if (!names.has(range.shard)) return "shard";
      if (range.first + range.count > slotsCount) return "slots";
      const space = spaces.get(range.tenant) ?? new Array<string | null>(slotsCount).fill(null);
      spaces.set(range.tenant, space);
      for (let slot = range.first; slot < range.first + range.count; slot += 1) {
        if (space[slot] !== null) return "overlap";
        space[slot] = range.shard;
      }
    }
    for (const [tenant, space] of spaces) this.spaces.set(tenant, space);
    return null;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isName(value: unknown, max = 253): value is string {
  return typeof value === "string" && value.length >= 1 && value.length <= max;
}

function isAddress(value: unknown): value is RoutingAddress {
  if (typeof value !== "object" || value === null) return false;
  const { host, port } = value as Partial<Record<string, unknown>>;
  return isName(host) && isCount(port) && port >= 1 && port <= 65_535;
}

function isShard(value: unknown): value is RoutingShard {
  if (typeof value !== "object" || value === null) return false;
  const { name, addresses } = value as Partial<Record<string, unknown>>;
  return (
    isName(name, 40) &&
    Array.isArray(addresses) &&
    addresses.length === 3 &&
    addresses.every(isAddress)
  );
}

function isRange(value: unknown): value is RoutingRange {
  if (typeof value !== "object" || value === null) return false;
  const { tenant, first, count, shard, epoch } = value as Partial<Record<string, unknown>>;
  return (
    typeof tenant === "string" &&
    tenant.length <= 128 &&
    isCount(first) &&
    isCount(count) &&
    count >= 1 &&
    isName(shard, 40) &&
    isCount(epoch)
  );
}

function isRoutingFile(value: unknown): value is RoutingFile {
  if (typeof value !== "object" || value === null) return false;
  const { fleet, cluster, epoch, shards, slots } = value as Partial<Record<string, unknown>>;
  if (!isName(fleet) || typeof cluster !== "string" || !/^[0-9a-f]{32}$/.test(cluster)) {
    return false;
  }
  return (
    isCount(epoch) &&
    Array.isArray(shards) &&
    shards.length <= 1024 &&
    shards.every(isShard) &&
    Array.isArray(slots) &&
    slots.length <= 65_536 &&
    slots.every(isRange)
  );
}
