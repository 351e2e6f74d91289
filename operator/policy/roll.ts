import type { ObservedShard } from "./observed.ts";
import { isHealthy } from "./quorum.ts";

/** How long a pod on a new template may take until its roll has failed, in milliseconds. */
export const rollPatienceMs = 600_000;
/** The same for a pod that cannot even start: no image, no node. */
export const stuckPatienceMs = 120_000;

/** Which template the StatefulSet should hold now, and what to write down about rolls. */
export type RollDecision =
  /** Hold the wanted template. */
  | { readonly kind: "wanted" }
  /** All three run the wanted template and are caught up: it is proven. */
  | { readonly kind: "prove" }
  /** Hold the last proven template; the roll is halted, paused or failed. */
  | { readonly kind: "hold_proven"; readonly reason: "Paused" | "Failed" | "OnRequest" }
  /** The roll has just failed: write that down, then hold the last proven template. */
  | { readonly kind: "fail"; readonly note: string };

/**
 * Decides the template. Under OnDelete any pod that dies comes back on the StatefulSet's template,
 * so a template that must not spread must not stay in it (operator rule H3).
 */
export function rollDecision(observed: ObservedShard, requested: boolean): RollDecision {
  const { template, shard, members } = observed;
  const { wanted, current, proven, failed } = template;
  if (proven === "" || current === "")
    return isProven(observed) ? { kind: "prove" } : { kind: "wanted" };
  if (wanted === proven) return { kind: "wanted" };
  if (isProven(observed)) return { kind: "prove" };
  if (shard.spec.paused) return { kind: "hold_proven", reason: "Paused" };
  if (failed === wanted) return { kind: "hold_proven", reason: "Failed" };
  if (shard.spec.update.policy === "OnRequest" && !requested) {
    return { kind: "hold_proven", reason: "OnRequest" };
  }
  const broken = members.find((member) => {
    const { pod } = member;
    if (pod === undefined || pod.templateHash !== wanted || isHealthy(member)) return false;
    const ageMs = observed.nowMs - pod.createdMs;
    return ageMs > rollPatienceMs || (pod.stuckReason !== "" && ageMs > stuckPatienceMs);
  });
  if (broken === undefined) return { kind: "wanted" };
  const why = broken.pod?.stuckReason || "not caught up in time";
  return { kind: "fail", note: `Replica ${broken.replica} failed on the new template: ${why}.` };
}

function isProven(observed: ObservedShard): boolean {
  const { wanted, current } = observed.template;
  if (wanted !== current) return false;
  return observed.members.every(
    (member) => isHealthy(member) && member.pod?.templateHash === wanted,
  );
}
