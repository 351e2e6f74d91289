import { orThrow } from "#operator/kube/answer.ts";
import type { KubeClient } from "#operator/kube/kube-client.ts";
import type { Kind, KubeObject } from "#operator/kube/kube-object.ts";
import { keyOf } from "#operator/kube/kube-object.ts";

/**
 * What was applied and which version came of it: an object that nobody touched since is not
 * applied again. Forgetting is harmless: applying the same again changes nothing.
 */
export class AppliedObjects {
  private readonly applied = new Map<string, { readonly text: string; readonly version: string }>();

  /** Applies unless the mirrored object is what the same apply made. Throws on refusal. */
  async apply(
    client: KubeClient,
    kind: Kind,
    wanted: KubeObject,
    mirrored: KubeObject | undefined,
  ): Promise<KubeObject> {
    const key = `${kind.plural}/${keyOf(wanted)}`;
    const text = JSON.stringify(wanted);
    const last = this.applied.get(key);
    const version = mirrored?.metadata.resourceVersion;
    if (mirrored !== undefined && last?.text === text && last.version === version) return mirrored;
    const made = orThrow(`apply ${kind.kind} ${keyOf(wanted)}`, await client.apply(kind, wanted));
    this.applied.set(key, { text, version: made.metadata.resourceVersion ?? "" });
    return made;
  }
}
