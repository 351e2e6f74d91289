import type { Condition } from "#operator/api/room-shard.ts";

/** A finding before it is compared with the last one. */
export interface Finding {
  readonly type: string;
  readonly status: Condition["status"];
  readonly reason: string;
  readonly message: string;
}

/** Conditions with the time of the last change kept where the status is the same. */
export function conditionsFrom(
  findings: readonly Finding[],
  before: readonly Condition[],
  generation: number,
  now: string,
): readonly Condition[] {
  return findings.map((finding) => {
    const last = before.find(({ type }) => type === finding.type);
    const same = last?.status === finding.status;
    return {
      ...finding,
      observedGeneration: generation,
      lastTransitionTime: same ? last.lastTransitionTime : now,
    };
  });
}
