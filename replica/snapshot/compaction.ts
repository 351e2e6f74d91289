import type { Op } from "#replica/base/brands.ts";
import type { Manifest, ManifestMerge, ManifestSegment } from "./manifest.ts";
import { levelsMax } from "./manifest.ts";

/** Groups of a level that a merge makes into one of the next. */
export const groupsPerMerge = 8;

/** What a checkpoint adds to the manifest before it. */
export interface ManifestChange {
  readonly op: Op;
  readonly state: Uint8Array;
  readonly keyFloorMs: number;
  /** Segments of the checkpoint's own delta. */
  readonly entries: readonly ManifestSegment[];
  /** Results of the merges that are due at it. */
  readonly results: readonly {
    readonly record: ManifestMerge;
    readonly segments: readonly ManifestSegment[];
  }[];
}

/**
 * Checkpoints between the start of a merge and its entry into the manifest: half of the time until
 * the next merge of that level can start, so that its work spreads out. Equal on all replicas.
 */
export function mergeLag(level: number): number {
  return (groupsPerMerge / 2) * groupsPerMerge ** level;
}

/**
 * The manifest of the next checkpoint: due results take the place of their inputs, the delta's
 * segments join level 0, and every level with {@link groupsPerMerge} groups and no merge under way
 * starts one over its oldest groups. A function of the arguments alone.
 */
export function nextManifest(base: Manifest, change: ManifestChange): Manifest {
  let segments = [...base.segments, ...change.entries];
  const done = new Set<number>();
  for (const { record, segments: made } of change.results) {
    const isInput = (segment: ManifestSegment): boolean =>
      segment.level === record.level && segment.opLast <= record.opLast;
    const first = segments.findIndex(isInput);
    const kept = segments.filter((segment) => !isInput(segment));
    segments = [...kept.slice(0, first), ...made, ...kept.slice(first)];
    done.add(record.level);
  }
  const sequence = base.sequence + 1;
  const merges = base.merges.filter((merge) => !done.has(merge.level));
  for (let level = 0; level < levelsMax - 1; level += 1) {
    if (merges.some((merge) => merge.level === level)) continue;
    const ends = segments.filter((s) => s.level === level && s.part === 0).map((s) => s.opLast);
    const opLast = ends[groupsPerMerge - 1];
    if (opLast === undefined) continue;
    const { keyFloorMs } = change;
    merges.push({ level, opLast, due: sequence + mergeLag(level), keyFloorMs });
  }
  merges.sort((a, b) => a.level - b.level);
  return { op: change.op, sequence, state: change.state, merges, segments };
}
