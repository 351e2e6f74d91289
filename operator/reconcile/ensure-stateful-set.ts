import type { RoomShard } from "#operator/api/room-shard.ts";
import { replicasCount } from "#replica/base/limits.ts";
import { marks, podName, shardNames } from "#operator/desired/names.ts";
import { podTemplateOf } from "#operator/desired/pod-template.ts";
import { statefulSetOf } from "#operator/desired/stateful-set.ts";
import { templateFactsOf, templateHash } from "#operator/desired/template-facts.ts";
import type { KubeObject } from "#operator/kube/kube-object.ts";
import { kinds } from "#operator/kube/kube-object.ts";
import { sha256Hex } from "#operator/pki/proof.ts";
import type { ObservedTemplate } from "#operator/policy/observed.ts";
import type { RollDecision } from "#operator/policy/roll.ts";
import { type Context, tell } from "./context.ts";
import { refuseForeign } from "./ensure-children.ts";
import type { Obstacle } from "./ensure-secrets.ts";

/** The template that the manifest asks for. */
export interface WantedTemplate {
  readonly image: string;
  readonly hash: string;
  readonly template: object;
}

/** Renders the pod template of a shard. `config`: text of the replica's configuration file. */
export function wantedTemplate(context: Context, shard: RoomShard, config: string): WantedTemplate {
  const { options } = context;
  const image = shard.spec.image === "" ? options.replicaImage : shard.spec.image;
  const { keys } = shardNames(shard.metadata.name, shard.spec.encryption?.keySecretName);
  const hash = templateHash(templateFactsOf(shard, image, config, keys), sha256Hex);
  const { imagePullPolicy, imagePullSecrets } = options;
  const template = podTemplateOf(shard, { image, imagePullPolicy, imagePullSecrets, hash });
  return { image, hash, template };
}

/** What the StatefulSet records about rolls. */
export function templateState(wanted: string, stored: KubeObject | undefined): ObservedTemplate {
  const annotations = stored?.metadata.annotations ?? {};
  return {
    wanted,
    current: annotations[marks.templateHash] ?? "",
    proven: annotations[marks.provenHash] ?? "",
    failed: annotations[marks.failedHash] ?? "",
  };
}

/** True when a roll was asked for by annotation since the last one ended. */
export function rollRequested(shard: RoomShard, stored: KubeObject | undefined): boolean {
  const asked = shard.metadata.annotations?.[marks.roll];
  return asked !== undefined && asked !== stored?.metadata.annotations?.[marks.roll];
}

/**
 * Pods of an earlier life of the shard that still end. A StatefulSet that is made while they are
 * there fails to make its own, with ever longer pauses.
 */
export function podsOfLastLife(
  context: Context,
  shard: RoomShard,
  stored: KubeObject | undefined,
): Obstacle | undefined {
  const { name, namespace = "default" } = shard.metadata;
  const left = Array.from({ length: replicasCount }, (_, replica) => podName(name, replica))
    .map((pod) => context.mirrors.get(kinds.pod, namespace, pod))
    .filter((pod) => {
      const owner = pod?.metadata.ownerReferences?.find(({ controller }) => controller === true);
      return owner !== undefined && owner.uid !== stored?.metadata.uid;
    });
  if (stored !== undefined || left.length === 0) return undefined;
  const message = `${left.length} pods of the shard's last life have not ended yet.`;
  return { reason: "LastLifeEnding", message };
}

/** Applies the StatefulSet with the template that the decision names, and records the decision. */
export async function ensureStatefulSet(
  context: Context,
  shard: RoomShard,
  wanted: WantedTemplate,
  decision: RollDecision,
  stored: KubeObject | undefined,
): Promise<KubeObject> {
  refuseForeign(shard, kinds.statefulSet, stored);
  const before = stored?.metadata.annotations ?? {};
  const records: Record<string, string> = {};
  for (const name of [marks.provenHash, marks.provenTemplate, marks.failedHash, marks.roll]) {
    const value = before[name];
    if (value !== undefined) records[name] = value;
  }
  if (decision.kind === "prove") {
    records[marks.provenHash] = wanted.hash;
    records[marks.provenTemplate] = JSON.stringify(wanted.template);
    delete records[marks.failedHash];
    const asked = shard.metadata.annotations?.[marks.roll];
    if (asked !== undefined) records[marks.roll] = asked;
  }
  if (decision.kind === "fail") records[marks.failedHash] = wanted.hash;
  const held = decision.kind === "fail" || decision.kind === "hold_proven";
  const proven = records[marks.provenTemplate];
  const hash = records[marks.provenHash];
  const useProven = held && proven !== undefined && hash !== undefined;
  const object = statefulSetOf(shard, {
    template: useProven ? (JSON.parse(proven) as unknown) : wanted.template,
    templateHash: useProven ? hash : wanted.hash,
    records,
  });
  const applied = await context.applied.apply(context.client, kinds.statefulSet, object, stored);
  if (decision.kind === "fail") {
    const event = { type: "Warning", reason: "RollFailed", action: "HaltRoll" } as const;
    await tell(context, shard, { ...event, note: decision.note }, "done");
  }
  return applied;
}
