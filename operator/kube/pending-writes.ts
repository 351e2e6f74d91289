import type { KubeObject } from "./kube-object.ts";
import { compareVersions } from "./kube-object.ts";

const patienceMs = 5_000;

/**
 * Read your writes: after a write the cache may still show what was before. Remembers the version
 * that each write returned; a reconcile waits until the cache has it, at most 5 s.
 */
export class PendingWrites {
  private readonly writes = new Map<string, { readonly version: string; readonly atMs: number }>();

  /** A write of ours returned this object. */
  wrote(key: string, object: KubeObject, nowMs: number): void {
    const version = object.metadata.resourceVersion;
    if (version !== undefined) this.writes.set(key, { version, atMs: nowMs });
  }

  /** True while the cache is behind a write of ours and there is still patience. */
  isBehind(key: string, cached: KubeObject | undefined, nowMs: number): boolean {
    const write = this.writes.get(key);
    if (write === undefined) return false;
    const seen = cached?.metadata.resourceVersion ?? "0";
    if (compareVersions(seen, write.version) < 0 && nowMs - write.atMs < patienceMs) return true;
    this.writes.delete(key);
    return false;
  }
}
