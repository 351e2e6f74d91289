import { replicasCount } from "#replica/base/limits.ts";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { claimName, marks, podName, ports } from "#operator/desired/names.ts";
import { orNone } from "#operator/kube/answer.ts";
import type { Kind, KubeObject } from "#operator/kube/kube-object.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { replicaUri } from "#operator/pki/identity.ts";
import type {
  Certification,
  ObservedMember,
  ObservedPod,
  ReplicaReport,
} from "#operator/policy/observed.ts";
import { adminOf } from "./admin-of.ts";
import type { Context } from "./context.ts";
import type { Fleet } from "./fleet.ts";
import { genesisRecordFrom } from "./genesis-record.ts";

/** Where pods and claims are read: from the mirror to report, live to act. */
export type Freshness = "mirror" | "live";

/** The pod as core/v1 has it, as far as we read it. */
interface PodObject extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly podIP?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
    }[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

interface ContainerStatus {
  readonly state?: {
    readonly running?: object;
    readonly waiting?: { readonly reason?: string };
    readonly terminated?: { readonly message?: string };
  };
  readonly lastState?: { readonly terminated?: { readonly message?: string } };
}

/** Looks at the three replicas: claims, pods, and what each says over its admin port, live. */
export async function observeMembers(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  freshness: Freshness,
): Promise<readonly ObservedMember[]> {
  const indexes = Array.from({ length: replicasCount }, (_, replica) => replica);
  return Promise.all(
    indexes.map((replica) => observeMember(context, shard, fleet, replica, freshness)),
  );
}

async function observeMember(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  replica: number,
  freshness: Freshness,
): Promise<ObservedMember> {
  const { name } = shard.metadata;
  const read = (kind: Kind, object: string) =>
    readObject(context, kind, fleet.namespace, object, freshness);
  const [podObject, claimObject] = await Promise.all([
    read(kinds.pod, podName(name, replica)),
    read(kinds.claim, claimName(name, replica)),
  ]);
  const pod = podObject === undefined ? undefined : podFrom(podObject);
  const annotation = claimObject?.metadata.annotations?.[marks.genesis];
  const claim =
    claimObject === undefined
      ? undefined
      : { uid: claimObject.metadata.uid ?? "", genesis: genesisRecordFrom(annotation) };
  const asked = pod === undefined ? undefined : await ask(context, shard, fleet, replica, pod);
  return {
    replica,
    certification: asked?.certification ?? "unknown",
    ...(pod === undefined ? {} : { pod }),
    ...(claim === undefined ? {} : { claim }),
    ...(asked?.report === undefined ? {} : { report: asked.report }),
  };
}

/** Reads one object from the mirror, or live. */
export async function readObject(
  context: Context,
  kind: Kind,
  namespace: string,
  name: string,
  freshness: Freshness,
): Promise<KubeObject | undefined> {
  if (freshness === "mirror") return context.mirrors.get(kind, namespace, name);
  return orNone(`read ${kind.kind} ${name}`, await context.client.get(kind, namespace, name));
}

async function ask(
  context: Context,
  shard: RoomShard,
  fleet: Fleet,
  replica: number,
  pod: ObservedPod,
): Promise<{ certification: Certification; report?: ReplicaReport }> {
  if (!pod.running || pod.ip === "") return { certification: "unknown" };
  const admin = adminOf(shard, fleet, replica, pod);
  const proven = await admin.status();
  if (proven.kind === "ok") {
    const identity = replicaUri(fleet.cluster, shard.metadata.name, replica);
    const target = { host: pod.ip, port: ports.admin, identity };
    const judged = await context.certificates.judge(pod.uid, target, fleet.credentials);
    return { certification: judged, report: proven.value };
  }
  const heard = await admin.statusUnproven();
  if (heard.kind !== "ok") return { certification: "unknown" };
  const { shard: name, replica: index } = heard.value;
  if (name !== shard.metadata.name || index !== replica) return { certification: "unknown" };
  return { certification: "missing", report: heard.value };
}

function podFrom(pod: PodObject): ObservedPod {
  const { metadata, spec, status } = pod;
  const conditions = status?.conditions ?? [];
  const container = status?.containerStatuses?.[0];
  const scheduled = conditions.find(({ type }) => type === "PodScheduled");
  const unscheduled = scheduled?.status === "False" ? (scheduled.reason ?? "Unschedulable") : "";
  const waiting = container?.state?.waiting?.reason ?? "";
  const starting = ["ContainerCreating", "PodInitializing"].includes(waiting);
  const ended = container?.state?.terminated ?? container?.lastState?.terminated;
  return {
    name: metadata.name,
    uid: metadata.uid ?? "",
    ip: status?.podIP ?? "",
    node: spec?.nodeName ?? "",
    ready: conditions.some(({ type, status: holds }) => type === "Ready" && holds === "True"),
    running: container?.state?.running !== undefined,
    terminating: metadata.deletionTimestamp !== undefined,
    templateHash: metadata.annotations?.[marks.templateHash] ?? "",
    createdMs: Date.parse(metadata.creationTimestamp ?? "") || 0,
    stuckReason: unscheduled !== "" ? unscheduled : starting ? "" : waiting,
    lastMessage: (ended?.message ?? "").trim(),
  };
}
