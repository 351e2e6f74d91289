import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { replicasCount, slotsCount } from "#replica/base/limits.ts";
import type { RoomShard, SlotRange } from "#operator/api/room-shard.ts";
import { ports, replicaHost } from "./names.ts";

/** The file that edges read; its shape is edge/routing's. */
export interface RoutingFile {
  readonly fleet: string;
  readonly cluster: string;
  /** Grows with every change; edges ignore lower ones. */
  readonly epoch: number;
  readonly shards: readonly {
    readonly name: string;
    readonly addresses: readonly { readonly host: string; readonly port: number }[];
  }[];
  readonly slots: readonly RoutedRange[];
}

/** A range of a slot space with its shard. */
export interface RoutedRange extends SlotRange {
  readonly tenant: string;
  readonly shard: string;
  readonly epoch: number;
}

/** The table of a fleet without shards. */
export function emptyRouting(fleet: string, cluster: string): RoutingFile {
  return { fleet, cluster, epoch: 0, shards: [], slots: [] };
}

/** Reads the table that was published; null when it is damaged. */
export function routingFrom(text: string): RoutingFile | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    const file = value as Partial<RoutingFile>;
    const whole =
      typeof file.epoch === "number" && Array.isArray(file.shards) && Array.isArray(file.slots);
    return whole ? (file as RoutingFile) : null;
  } catch {
    return null;
  }
}

/** The slots that a shard gets at genesis, or why it cannot have them. */
export function genesisSlots(
  routing: RoutingFile,
  shard: RoomShard,
): Result<SlotRange, "slots_taken"> {
  const space = routing.slots.filter((range) => range.tenant === shard.spec.tenant);
  const own = space.find((range) => range.shard === shard.metadata.name);
  if (own !== undefined) return ok({ first: own.first, count: own.count });
  const wanted = shard.spec.initialSlots;
  if (wanted === undefined) {
    return ok(space.length === 0 ? { first: 0, count: slotsCount } : { first: 0, count: 0 });
  }
  const taken = space.some(
    (range) =>
      range.first < wanted.first + wanted.count && wanted.first < range.first + range.count,
  );
  return taken ? fail("slots_taken") : ok({ first: wanted.first, count: wanted.count });
}

/** The table with a shard's addresses and slots in it; the same object when nothing changes. */
export function routingWith(
  routing: RoutingFile,
  shard: RoomShard,
  slots: SlotRange,
  slotsEpoch: number,
): RoutingFile {
  const { name, namespace = "default" } = shard.metadata;
  const addresses = Array.from({ length: replicasCount }, (_, replica) => ({
    host: replicaHost(name, namespace, replica),
    port: ports.client,
  }));
  const range = { tenant: shard.spec.tenant, ...slots, shard: name, epoch: slotsEpoch };
  const shards = [...routing.shards.filter((one) => one.name !== name), { name, addresses }];
  const others = routing.slots.filter((one) => one.shard !== name);
  const own = routing.slots.filter((one) => one.shard === name);
  // What a shard owns after genesis is its log's matter; a table that has it is not overwritten.
  const kept = own.length > 0 || slots.count === 0 ? own : [range];
  const next = {
    ...routing,
    shards: shards.sort((a, b) => (a.name < b.name ? -1 : 1)),
    slots: [...others, ...kept].sort((a, b) => a.first - b.first),
  };
  const same =
    JSON.stringify(next.shards) === JSON.stringify(routing.shards) &&
    JSON.stringify(next.slots) === JSON.stringify(routing.slots);
  return same ? routing : { ...next, epoch: routing.epoch + 1 };
}

/** The table without shards that are gone. */
export function routingWithout(
  routing: RoutingFile,
  gone: (shard: string) => boolean,
): RoutingFile {
  const shards = routing.shards.filter((one) => !gone(one.name));
  if (shards.length === routing.shards.length) return routing;
  const slots = routing.slots.filter((one) => !gone(one.shard));
  return { ...routing, shards, slots, epoch: routing.epoch + 1 };
}

/** The table as text for the ConfigMap. */
export function routingText(routing: RoutingFile): string {
  return `${JSON.stringify(routing)}\n`;
}
