import type { Op } from "#replica/base/brands.ts";
import type { Manifest, ManifestMerge, ManifestSegment } from "./manifest.ts";
import { levelsMax, revisionMax } from "./manifest.ts";
import { sweepDue } from "./port.ts";

/** Groups of a level that a merge makes into one of the next. */
export const groupsPerMerge = 8;
/** Segments that one sweep looks at. */
const sweepSegmentsMax = 4;

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
  /** Segments that may hold what this checkpoint says is redacted or dropped. */
  readonly marks: ReadonlySet<string>;
  /** {@link FrozenDelta.sweepPhase}. */
  readonly sweepPhase: number;
  /** What takes the place of a segment that was swept, by id, once it is due. */
  readonly swept: ReadonlyMap<string, ManifestSegment>;
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
 * starts one over its oldest groups, unless one of them is being swept. At phase 0 a sweep begins
 * in the oldest marked segments that no merge has. A function of the arguments alone.
 */
export function nextManifest(base: Manifest, change: ManifestChange): Manifest {
  const { marks, sweepPhase } = change;
  let segments = [...base.segments, ...change.entries].map((segment) =>
    marks.has(segment.id) && !segment.marked ? { ...segment, marked: true } : segment,
  );
  const done = new Set<number>();
  for (const { record, segments: made } of change.results) {
    const isInput = (segment: ManifestSegment): boolean => inMerge(record, segment);
    const first = segments.findIndex(isInput);
    const marked = segments.some((segment) => isInput(segment) && segment.marked);
    const kept = segments.filter((segment) => !isInput(segment));
    const results = made.map((segment) => (marked ? { ...segment, marked } : segment));
    segments = [...kept.slice(0, first), ...results, ...kept.slice(first)];
    done.add(record.level);
  }
  if (sweepPhase === sweepDue) segments = segments.map((one) => afterSweep(one, change.swept));
  const sequence = base.sequence + 1;
  const merges = base.merges.filter((merge) => !done.has(merge.level));
  const { keyFloorMs } = change;
  startMerges(segments, merges, sequence, keyFloorMs);
  if (sweepPhase === 0) segments = beginSweep(segments, merges);
  return { op: change.op, sequence, state: change.state, merges, segments };
}

/** True for an input of a merge. */
function inMerge(merge: ManifestMerge, segment: ManifestSegment): boolean {
  return segment.level === merge.level && segment.opLast <= merge.opLast;
}

function startMerges(
  segments: readonly ManifestSegment[],
  merges: ManifestMerge[],
  sequence: number,
  keyFloorMs: number,
): void {
  for (let level = 0; level < levelsMax - 1; level += 1) {
    if (merges.some((merge) => merge.level === level)) continue;
    const ends = segments.filter((s) => s.level === level && s.part === 0).map((s) => s.opLast);
    const opLast = ends[groupsPerMerge - 1];
    if (opLast === undefined) continue;
    const merge = { level, opLast, due: sequence + mergeLag(level), keyFloorMs };
    if (segments.some((segment) => segment.sweeping && inMerge(merge, segment))) continue;
    merges.push(merge);
  }
  merges.sort((a, b) => a.level - b.level);
}

/** A mark that was set while the sweep went on stays. */
function afterSweep(
  segment: ManifestSegment,
  swept: ReadonlyMap<string, ManifestSegment>,
): ManifestSegment {
  if (!segment.sweeping) return segment;
  return { ...(swept.get(segment.id) ?? segment), marked: segment.marked, sweeping: false };
}

function beginSweep(
  segments: readonly ManifestSegment[],
  merges: readonly ManifestMerge[],
): ManifestSegment[] {
  let left = sweepSegmentsMax;
  return segments.map((segment) => {
    const free = segment.marked && segment.revision < revisionMax;
    if (!free || left === 0 || merges.some((merge) => inMerge(merge, segment))) return segment;
    left -= 1;
    return { ...segment, marked: false, sweeping: true };
  });
}
