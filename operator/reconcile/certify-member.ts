import type { RoomShard } from "#operator/api/room-shard.ts";
import { shardNames } from "#operator/desired/names.ts";
import { orThrow } from "#operator/kube/answer.ts";
import type { KubeObject } from "#operator/kube/kube-object.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { certifyReplica } from "#operator/pki/formation.ts";
import type { GenesisRecord, ObservedMember, ObservedPod } from "#operator/policy/observed.ts";
import type { Context } from "./context.ts";
import { tell } from "./context.ts";
import type { Fleet } from "./fleet.ts";
import { adminOf } from "./admin-of.ts";

/** Who a certified replica is. */
export type CertifiedMember = GenesisRecord["members"][number];

/**
 * Gives a replica its certificate: it proves that it holds the shard's bootstrap secret, the pod is
 * looked up live and must still be the one that answered, and a formed shard's replica must have
 * one of the keys that the claims record; none: any. Null, with an Event, when any of that fails.
 */
export async function certifyMember(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  member: ObservedMember,
  expected: readonly string[],
): Promise<CertifiedMember | null> {
  const { pod, replica } = member;
  if (pod === undefined) return null;
  const { name } = shard.metadata;
  const outcome = await certifyReplica({
    admin: adminOf(shard, fleet, replica, pod),
    authority: fleet.authority,
    bootstrap: await readBootstrap(context, shard),
    cluster: fleet.cluster,
    shard: name,
    replica,
    nowMs: Date.now(),
    object: async ({ publicKey }) => {
      if (!(await isStill(context, fleet, pod))) return "Its pod changed meanwhile.";
      if (expected.length === 0 || expected.includes(publicKey)) return null;
      return "Its disk has another key than the claims of the shard record.";
    },
  });
  if (outcome.kind === "unreachable") return null;
  if (outcome.kind === "refused") {
    const event = { type: "Warning", reason: "IdentityRefused", action: "Certify" } as const;
    const note = `Replica ${replica} was not certified. ${outcome.why}`;
    await tell(context, shard, { ...event, note }, "refused");
    return null;
  }
  context.certificates.forget(pod.uid);
  const event = { type: "Normal", reason: "IdentityProven", action: "Certify" } as const;
  await tell(context, shard, { ...event, note: `Certified replica ${replica}.` }, "done");
  return outcome.member;
}

/** The shard's bootstrap secret, 64 hex digits. */
export async function readBootstrap(context: Context, shard: RoomShard): Promise<string> {
  const { name, namespace = "default" } = shard.metadata;
  const secret = shardNames(name).bootstrap;
  const found = orThrow(
    "read the bootstrap secret",
    await context.client.get<KubeObject & { readonly data?: Record<string, string> }>(
      kinds.secret,
      namespace,
      secret,
    ),
  );
  return Buffer.from(found.data?.["bootstrap"] ?? "", "base64").toString("utf8");
}

/** A live read: the same pod, at the same address. */
async function isStill(context: Context, fleet: Fleet, pod: ObservedPod): Promise<boolean> {
  const found = await context.client.get<
    KubeObject & { readonly status?: { readonly podIP?: string } }
  >(kinds.pod, fleet.namespace, pod.name);
  return found.ok && found.value.metadata.uid === pod.uid && found.value.status?.podIP === pod.ip;
}
