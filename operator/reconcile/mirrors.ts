import { operatorApp, replicaApp } from "#operator/desired/labels.ts";
import { marks } from "#operator/desired/names.ts";
import type { KubeClient } from "#operator/kube/kube-client.ts";
import type { Kind, KubeObject } from "#operator/kube/kube-object.ts";
import { keyOf, kinds } from "#operator/kube/kube-object.ts";
import { Reflector } from "#operator/kube/reflector.ts";

const managed = `app.kubernetes.io/managed-by=${operatorApp}`;
const replicas = `app.kubernetes.io/name=${replicaApp}`;

const mirrored: readonly { readonly kind: Kind; readonly labelSelector?: string }[] = [
  { kind: kinds.roomShard },
  { kind: kinds.statefulSet, labelSelector: managed },
  { kind: kinds.pod, labelSelector: replicas },
  { kind: kinds.claim, labelSelector: replicas },
  { kind: kinds.service, labelSelector: managed },
  { kind: kinds.configMap, labelSelector: managed },
  { kind: kinds.budget, labelSelector: managed },
  { kind: kinds.networkPolicy, labelSelector: managed },
];

/** Whom the mirrors tell. */
export interface MirrorListeners {
  /** A shard, or something that belongs to it, changed. `namespace/name`. */
  readonly shardChanged: (key: string) => void;
  readonly failed: (kind: string, message: string) => void;
  readonly alive: (kind: string) => void;
}

/** Mirrors of what belongs to shards. Secrets are not mirrored: they are read by name. */
export class Mirrors {
  private readonly reflectors = new Map<string, Reflector>();

  constructor(client: KubeClient, namespace: string, listeners: MirrorListeners) {
    for (const { kind, labelSelector } of mirrored) {
      const reflector = new Reflector({
        client,
        kind,
        namespace,
        ...(labelSelector === undefined ? {} : { labelSelector }),
        changed: (_change, object) => this.announce(kind, object, listeners),
        failed: (message) => listeners.failed(kind.kind, message),
        alive: () => listeners.alive(kind.kind),
      });
      this.reflectors.set(kind.plural, reflector);
    }
  }

  /** Starts all; resolves when each has listed once. */
  async start(): Promise<void> {
    await Promise.all([...this.reflectors.values()].map((reflector) => reflector.start()));
  }

  /** Ends all. */
  async stop(): Promise<void> {
    await Promise.all([...this.reflectors.values()].map((reflector) => reflector.stop()));
  }

  /** An object as last seen. Its absence proves nothing. */
  get(kind: Kind, namespace: string, name: string): KubeObject | undefined {
    return this.reflectors.get(kind.plural)?.get(`${namespace}/${name}`);
  }

  /** Every object of a kind as last seen. */
  all(kind: Kind): readonly KubeObject[] {
    return this.reflectors.get(kind.plural)?.all() ?? [];
  }

  private announce(kind: Kind, object: KubeObject, listeners: MirrorListeners): void {
    for (const key of this.shardsOf(kind, object)) listeners.shardChanged(key);
  }

  private shardsOf(kind: Kind, object: KubeObject): readonly string[] {
    if (kind === kinds.roomShard) return [keyOf(object)];
    const { labels, namespace } = object.metadata;
    const shard = labels?.[marks.shard];
    if (shard !== undefined) return [`${namespace}/${shard}`];
    const fleet = labels?.[marks.fleet];
    return this.all(kinds.roomShard)
      .filter((one) => {
        const { spec } = one as { readonly spec?: { readonly fleet?: string } };
        return one.metadata.namespace === namespace && spec?.fleet === fleet;
      })
      .map(keyOf);
  }
}
