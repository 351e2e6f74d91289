import { replicasCount } from "#replica/base/limits.ts";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { claimName, marks } from "#operator/desired/names.ts";
import { orThrow } from "#operator/kube/answer.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { randomHex } from "#operator/pki/proof.ts";
import type { GenesisStep } from "#operator/policy/genesis.ts";
import type { GenesisRecord, ObservedMember } from "#operator/policy/observed.ts";
import { type CertifiedMember, certifyMember } from "./certify-member.ts";
import { type Context, tell } from "./context.ts";
import type { Obstacle } from "./ensure-secrets.ts";
import type { Fleet } from "./fleet.ts";
import { genesisRecordFrom, genesisRecordText } from "./genesis-record.ts";
import { adminOf } from "./admin-of.ts";
import { readObject } from "./observe-shard.ts";
import { genesisEpoch, reserveSlots } from "./reserve-slots.ts";

/** Does one step of a shard's genesis, decided on live claims. An obstacle when it cannot go on. */
export async function advanceGenesis(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  members: readonly ObservedMember[],
  step: GenesisStep,
): Promise<Obstacle | undefined> {
  switch (step.kind) {
    case "begin":
      return begin(context, shard, fleet);
    case "adopt":
      return adopt(context, shard, fleet, step.formationId);
    case "spread":
      await recordGenesis(context, shard, step.record);
      return undefined;
    case "identify":
      return identify(context, shard, fleet, members, step.record);
    case "format":
      return format(context, shard, fleet, members, step.record);
    case "formed":
    case "wait":
    case "refuse":
      return undefined;
    default:
      return step satisfies never;
  }
}

async function begin(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
): Promise<Obstacle | undefined> {
  const slots = await reserveSlots(context, shard, fleet);
  if ("reason" in slots) return slots;
  const { cluster } = fleet;
  const formationId = randomHex(32);
  const { tenant } = shard.spec;
  const granted = { ...slots, epoch: genesisEpoch };
  await recordGenesis(context, shard, {
    step: "identify",
    formationId,
    cluster,
    tenant,
    slots: granted,
    members: [],
  });
  const note = `Forming the shard with ${slots.count} slots from ${slots.first} on.`;
  const event = { type: "Normal", reason: "DisksUnformatted", action: "BeginGenesis" } as const;
  await tell(context, shard, { ...event, note }, "done");
  return undefined;
}

async function adopt(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  formationId: string,
): Promise<undefined> {
  const { cluster } = fleet;
  const { tenant } = shard.spec;
  const slots = { first: 0, count: 0, epoch: 0 };
  await recordGenesis(context, shard, {
    step: "done",
    formationId,
    cluster,
    tenant,
    slots,
    members: [],
  });
  const note = "The disks are formatted already; their formation is recorded on the claims.";
  const event = { type: "Normal", reason: "DisksFormatted", action: "AdoptGenesis" } as const;
  await tell(context, shard, { ...event, note }, "done");
  return undefined;
}

async function identify(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  members: readonly ObservedMember[],
  found: GenesisRecord,
): Promise<Obstacle | undefined> {
  const certified: CertifiedMember[] = [];
  for (const member of members) {
    const one = await certifyMember(context, shard, fleet, member, []);
    if (one === null) {
      const message = `Replica ${member.replica} could not be certified; see the events.`;
      return { reason: "NotCertified", message };
    }
    certified.push(one);
  }
  await recordGenesis(context, shard, { ...found, step: "format", members: certified });
  return undefined;
}

async function format(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  members: readonly ObservedMember[],
  found: GenesisRecord,
): Promise<Obstacle | undefined> {
  const { formationId, slots } = found;
  const facts = { formationId, members: found.members, slots };
  for (const { pod, replica } of members) {
    if (pod === undefined) return { reason: "PodsMissing", message: `Pod ${replica} is gone.` };
    const answered = await adminOf(shard, fleet, replica, pod).genesis(facts);
    if (answered.kind === "ok") continue;
    const why = answered.kind === "refused" ? answered.detail : answered.why;
    const note = `Replica ${replica} did not format: ${why}`;
    const event = { type: "Warning", reason: "GenesisRefused", action: "Format" } as const;
    await tell(context, shard, { ...event, note }, "failed");
    return { reason: "GenesisRefused", message: note };
  }
  await recordGenesis(context, shard, { ...found, step: "done" });
  const note = "All three replicas are formatted; the shard is formed for ever.";
  const event = { type: "Normal", reason: "ReplicasIdentified", action: "Format" } as const;
  await tell(context, shard, { ...event, note }, "done");
  return undefined;
}

/**
 * Writes the record to all three claims, each by compare-and-swap, before the step is taken.
 * `before`: what they must say until then, when it was decided by that.
 */
export async function recordGenesis(
  context: Context,
  shard: RoomShard,
  facts: GenesisRecord,
  before?: GenesisRecord,
): Promise<void> {
  const namespace = shard.metadata.namespace ?? "default";
  const text = genesisRecordText(facts);
  for (let replica = 0; replica < replicasCount; replica += 1) {
    const name = claimName(shard.metadata.name, replica);
    const claim = await readObject(context, kinds.claim, namespace, name, "live");
    if (claim === undefined) throw new Error(`Claim ${name} is gone.`);
    const { resourceVersion, annotations } = claim.metadata;
    if (annotations?.[marks.genesis] === text) continue;
    refuseOther(annotations?.[marks.genesis], facts, name);
    const found = genesisRecordFrom(annotations?.[marks.genesis]);
    const same = before === undefined || JSON.stringify(found) === genesisRecordText(before);
    if (!same) throw new Error(`Claim ${name} was written by somebody else meanwhile.`);
    const patch = { metadata: { resourceVersion, annotations: { [marks.genesis]: text } } };
    const patched = await context.client.mergePatch(kinds.claim, namespace, name, patch);
    orThrow(`record the genesis on ${name}`, patched);
  }
}

/** A claim that records another formation, or that this one is done, is never overwritten. */
function refuseOther(text: string | undefined, facts: GenesisRecord, name: string): void {
  if (text === undefined) return;
  const { formationId, step } = JSON.parse(text) as Partial<GenesisRecord>;
  if (formationId === facts.formationId && (step !== "done" || facts.step === "done")) return;
  throw new Error(`Claim ${name} records another genesis.`);
}
