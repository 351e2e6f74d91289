import type { RoomShard, SlotRange } from "#operator/api/room-shard.ts";
import { routingMapOf } from "#operator/desired/fleet-objects.ts";
import { fleetNames, marks } from "#operator/desired/names.ts";
import { shareOf } from "#operator/desired/owner.ts";
import {
  emptyRouting,
  genesisSlots,
  type RoutedRange,
  type RoutingFile,
  routingFrom,
  routingText,
  routingWith,
} from "#operator/desired/routing-table.ts";
import { orNone, orThrow } from "#operator/kube/answer.ts";
import type { KubeObject } from "#operator/kube/kube-object.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { addOwner } from "./add-owner.ts";
import type { Context } from "./context.ts";
import type { Obstacle } from "./ensure-secrets.ts";
import type { Fleet } from "./fleets.ts";
import { genesisRecordFrom } from "./genesis-record.ts";

/** Epoch of the slots that a genesis gives. */
export const genesisEpoch = 1;

interface RoutingObject extends KubeObject {
  readonly data?: { readonly [name: string]: string };
}

/** Reads the published table, or makes an empty one; shared by the shard. */
async function readRouting(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
): Promise<{ readonly object: KubeObject; readonly file: RoutingFile }> {
  const name = fleetNames(fleet.fleet).routing;
  const { client } = context;
  const got = await client.get<RoutingObject>(kinds.configMap, fleet.namespace, name);
  let object: RoutingObject | undefined = orNone("read the routing table", got);
  if (object === undefined) {
    const text = routingText(emptyRouting(fleet.fleet, fleet.cluster));
    const empty = routingMapOf(fleet, [shareOf(shard)], text);
    object = orThrow("create the routing table", await client.create(kinds.configMap, empty));
  }
  const file = routingFrom(object.data?.["routing.json"] ?? "");
  if (file === null) throw new Error(`ConfigMap ${name} is damaged; delete it to have it remade.`);
  const metadata = object.metadata;
  if (metadata.ownerReferences?.some(({ uid }) => uid === shard.metadata.uid) === true) {
    return { object, file };
  }
  await addOwner(client, kinds.configMap, object, shareOf(shard));
  return readRouting(context, shard, fleet);
}

/** Publishes by compare-and-swap: a table that changed meanwhile is not overwritten. */
async function writeRouting(
  context: Context,
  fleet: Fleet,
  object: KubeObject,
  file: RoutingFile,
): Promise<void> {
  const { resourceVersion, name } = object.metadata;
  const patch = { metadata: { resourceVersion }, data: { "routing.json": routingText(file) } };
  const patched = await context.client.mergePatch(kinds.configMap, fleet.namespace, name, patch);
  orThrow("publish the routing table", patched);
}

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
  const { object, file } = await readRouting(context, shard, fleet);
  const retained = await slotsOnClaims(context, fleet);
  const missing = retained.filter((range) => file.slots.every((one) => one.shard !== range.shard));
  const known = { ...file, slots: [...file.slots, ...missing] };
  const granted = genesisSlots(known, shard);
  if (!granted.ok) {
    const message = "The slots of spec.initialSlots belong to another shard of the fleet.";
    return { reason: "SlotsTaken", message };
  }
  const next = routingWith(file, shard, granted.value, genesisEpoch);
  if (next !== file) await writeRouting(context, fleet, object, next);
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
  const mirrored: RoutingObject | undefined = context.mirrors.get(
    kinds.configMap,
    namespace,
    fleetNames(name).routing,
  );
  const seen = routingFrom(mirrored?.data?.["routing.json"] ?? "");
  const range = { first: slots.first, count: slots.count };
  if (seen !== null && routingWith(seen, shard, range, slots.epoch) === seen) return;
  const { object, file } = await readRouting(context, shard, fleet);
  const next = routingWith(file, shard, range, slots.epoch);
  if (next !== file) await writeRouting(context, fleet, object, next);
}
