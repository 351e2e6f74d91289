import type { Finding } from "./conditions.ts";
import type { ObservedMember, ObservedShard } from "./observed.ts";
import { isHealthy } from "./quorum.ts";

/** What to do about a replica of a formed shard whose volume is gone (vsr rule A11). */
export type ReplaceStep =
  | { readonly kind: "none" }
  /** Not now, or not without a person's word: reason of the condition, with a sentence. */
  | { readonly kind: "wait"; readonly reason: string; readonly note: string }
  /** Its volume is empty, a person permitted it, both others are well: certify, REPLACE, format. */
  | { readonly kind: "replace"; readonly replica: number };

/** A volume that holds nothing, answered by the process itself; silence is no empty volume. */
function isEmpty({ report }: ObservedMember): boolean {
  return report?.state === "unformatted";
}

/** A volume that may never vote again, though it holds something. */
function isUseless({ report }: ObservedMember): boolean {
  return report?.state === "lost" || report?.state === "poisoned";
}

/**
 * Decides for a shard that is formed. What the lost volume acknowledged lies on the two others, so
 * both must vote and follow; a person says which replica it is, for an empty disk may also be a
 * disk that was mounted in the wrong place. `permitted`: the annotation's value.
 */
export function replaceStep(observed: ObservedShard, permitted: string | undefined): ReplaceStep {
  const useless = observed.members.find(isUseless);
  if (useless !== undefined) {
    const { replica } = useless;
    const what = `The volume of replica ${replica} may not vote any more`;
    const how = `delete its claim and its pod, then annotate tigerchat.dev/replace=${replica}`;
    return wait("VolumeUseless", `${what}; ${how}.`);
  }
  const empty = observed.members.filter(isEmpty);
  const [lost] = empty;
  if (lost === undefined) return { kind: "none" };
  if (empty.length > 1) {
    const list = empty.map(({ replica }) => replica).join(", ");
    return wait("VolumesLost", `Replicas ${list} have empty volumes; put the right claims back.`);
  }
  const { replica } = lost;
  if (permitted !== String(replica)) {
    const how = `put its claim back, or annotate tigerchat.dev/replace=${replica}`;
    return wait("VolumeLost", `Replica ${replica} has an empty volume; ${how}.`);
  }
  const unwell = observed.members.find((one) => one !== lost && !isHealthy(one));
  if (unwell !== undefined) {
    const note = `The replacement of replica ${replica} waits for replica ${unwell.replica}.`;
    return wait("ReplacementWaits", note);
  }
  return { kind: "replace", replica };
}

function wait(reason: string, note: string): ReplaceStep {
  return { kind: "wait", reason, note };
}

/** What the condition about storage says of it; null = nothing is wrong. */
export function replaceFinding(step: ReplaceStep): Finding | null {
  if (step.kind === "none") return null;
  const type = "StorageHealthy";
  if (step.kind === "wait") {
    return { type, status: "False", reason: step.reason, message: step.note };
  }
  const message = `Replica ${step.replica} gets a new volume.`;
  return { type, status: "False", reason: "Replacing", message };
}
