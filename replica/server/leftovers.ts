import { liveSegmentIds, type Manifest } from "#replica/snapshot/manifest.ts";
import type { Storage } from "#replica/wire/storage-port.ts";

/**
 * Removes segments that no manifest of a kept checkpoint names: a crash left them in the middle of
 * a checkpoint, a merge or a sync, and nobody else knows of them. Only at open, before anything is
 * written: later a segment that no manifest names yet may be under way. `done` gets the ids.
 */
export function removeLeftovers(
  storage: Storage,
  manifests: readonly Manifest[],
  done: (removed: readonly string[]) => void,
): void {
  const live = new Set(manifests.flatMap((manifest) => liveSegmentIds(manifest)));
  storage.listSegments((ids) => {
    const left = ids.filter((id) => !live.has(id));
    storage.removeSegments(left, () => done(left));
  });
}
