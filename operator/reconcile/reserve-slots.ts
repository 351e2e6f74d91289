import type { RoomShard, SlotRange } from "#operator/api/room-shard.ts";
import { fleetNames, marks } from "#operator/desired/names.ts";
import { shareOf } from "#operator/desired/owner.ts";
import {
  genesisSlots,
  type RoutedRange,
  routingFrom,
  routingWith,
} from "#operator/desired/routing-table.ts";
import { orThrow } from "#operator/kube/answer.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import type { Context } from "./context.ts";
import type { Obstacle } from "./ensure-secrets.ts";
import type { Fleet } from "./fleet.ts";
import { genesisRecordFrom } from "./genesis-record.ts";
import { type RoutingMap, readRouting, writeRouting } from "./routing-store.ts";

/** Epoch of the slots that a genesis gives. */
export const genesisEpoch = 1;

/** Slots of retained claims whose shard has no entry now: they are owned all the same. */
async function slotsOnClaims(context: Context, fleet: Fleet): Promise<readonly RoutedRange[]> {
  const labelSelector = `${marks.fleet}=${fleet.fleet}`;
  const listed = await context.client.list(kinds.claim, fleet.namespace, { labelSelector });
  const ranges = new Map<string, RoutedRange>();
  for (const { metadata } of orThrow("list the claims", listed).items) {
    const record = genesisRecordFrom(metadata.annotations?.[marks.genesis]);
    const shard = metadata.labels?.[marks.shard];
    if (record === null || shard === undefined || record.slots.count === 0) continue;
    const { first, count, epoch } = record.slots;
    ranges.set(shard, { tenant: record.tenant, first, count, epoch, shard });
  }
  return [...ranges.values()];
}

/** Grants the shard its slots at genesis, in the routing table, before anything is formatted. */
export async function reserveSlots(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
): Promise<SlotRange | Obstacle> {
  const { object, file } = await readRouting(context.client, fleet, shareOf(shard));
  const retained = await slotsOnClaims(context, fleet);
  const missing = retained.filter((range) => file.slots.every((one) => one.shard !== range.shard));
  const known = { ...file, slots: [...file.slots, ...missing] };
  const granted = genesisSlots(known, shard);
  if (!granted.ok) {
    const message = "The slots of spec.initialSlots belong to another shard of the fleet.";
    return { reason: "SlotsTaken", message };
  }
  const next = routingWith(file, shard, granted.value, genesisEpoch);
  if (next !== file) await writeRouting(context.client, fleet, object, next);
  return granted.value;
}

/** Puts a formed shard into the table, when it is not there. */
export async function publishRouting(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  slots: { readonly first: number; readonly count: number; readonly epoch: number },
): Promise<void> {
  const { namespace, fleet: name } = fleet;
  const mirrored: RoutingMap | undefined = context.mirrors.get(
    kinds.configMap,
    namespace,
    fleetNames(name).routing,
  );
  const seen = routingFrom(mirrored?.data?.["routing.json"] ?? "");
  const range = { first: slots.first, count: slots.count };
  if (seen !== null && routingWith(seen, shard, range, slots.epoch) === seen) return;
  const { object, file } = await readRouting(context.client, fleet, shareOf(shard));
  const next = routingWith(file, shard, range, slots.epoch);
  if (next !== file) await writeRouting(context.client, fleet, object, next);
}
