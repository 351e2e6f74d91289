import { assert } from "#replica/base/assert.ts";
import { replicasCount } from "#replica/base/limits.ts";
import type { GenesisRecord, ObservedShard } from "./observed.ts";

/** The next step of a shard's genesis. */
export type GenesisStep =
  /** Formed: nothing to do, for ever. */
  | { readonly kind: "formed"; readonly record: GenesisRecord }
  /** Something is not there yet; says what. */
  | { readonly kind: "wait"; readonly reason: string; readonly note: string }
  /** Something is wrong that only a person can mend. */
  | { readonly kind: "refuse"; readonly reason: string; readonly note: string }
  /** Choose the facts and write them to the claims. */
  | { readonly kind: "begin" }
  /** Disks are formatted, claims say nothing (a restore): write down what the disks say. */
  | { readonly kind: "adopt"; readonly formationId: string }
  /** Write this record to the claims that lack it. */
  | { readonly kind: "spread"; readonly record: GenesisRecord }
  /** Certify the replicas and write down who they are. */
  | { readonly kind: "identify"; readonly record: GenesisRecord }
  /** Tell all three to format with these facts; harmless when repeated. */
  | { readonly kind: "format"; readonly record: GenesisRecord };

const order: readonly GenesisRecord["step"][] = ["identify", "format", "done"];

/**
 * Decides the next step. The claims decide whether a genesis began, the disks whether it happened;
 * status and caches decide nothing. A claim that says "done" rules it out for ever.
 */
export function genesisStep(observed: ObservedShard, cluster: string): GenesisStep {
  assert(observed.members.length === replicasCount, "POL-01");
  const missing = observed.members.filter(({ claim }) => claim === undefined);
  if (missing.length > 0) {
    const note = `Claims of replicas ${missing.map((m) => m.replica).join(", ")} do not exist yet.`;
    return { kind: "wait", reason: "ClaimsMissing", note };
  }
  const records = observed.members.flatMap(({ claim }) => claim?.genesis ?? []);
  const newest = newestOf(records);
  if (newest === "disagree") {
    const note =
      "The claims record different formations. Put back the claims that belong together.";
    return { kind: "refuse", reason: "ClaimsDisagree", note };
  }
  if (newest !== undefined && newest.cluster !== cluster) {
    const note = `The claims belong to the fleet ${newest.cluster}, this one is ${cluster}.`;
    return { kind: "refuse", reason: "ForeignFleet", note };
  }
  if (newest === undefined) return beginning(observed);
  // Whoever wrote them may have died between two claims; the first one is written first.
  const text = JSON.stringify(newest);
  const behind = observed.members.some(({ claim }) => JSON.stringify(claim?.genesis) !== text);
  if (newest.step === "done") {
    return behind ? { kind: "spread", record: newest } : { kind: "formed", record: newest };
  }
  if (behind) return { kind: "spread", record: newest };
  const silent = observed.members.filter(({ pod, report }) => !pod?.running || !report);
  if (silent.length > 0) return waitFor(silent.map(({ replica }) => replica));
  return { kind: newest.step, record: newest };
}

/** The record of a shard that is formed, also while one of its claims lacks it; null before. */
export function formedRecord(step: GenesisStep): GenesisRecord | null {
  if (step.kind !== "formed" && step.kind !== "spread") return null;
  return step.record.step === "done" ? step.record : null;
}

function newestOf(records: readonly GenesisRecord[]): GenesisRecord | "disagree" | undefined {
  const [first] = records;
  if (first === undefined) return undefined;
  if (records.some(({ formationId }) => formationId !== first.formationId)) return "disagree";
  return records.reduce((a, b) => (order.indexOf(b.step) > order.indexOf(a.step) ? b : a));
}

function waitFor(replicas: readonly number[]): GenesisStep {
  const note = `Replicas ${replicas.join(", ")} do not answer on their admin ports yet.`;
  return { kind: "wait", reason: "ReplicasStarting", note };
}

function beginning(observed: ObservedShard): GenesisStep {
  const silent = observed.members.filter(({ pod, report }) => !pod?.running || !report);
  if (silent.length > 0) return waitFor(silent.map(({ replica }) => replica));
  const formatted = observed.members.filter(({ report }) => report?.state !== "unformatted");
  if (formatted.length === 0) return { kind: "begin" };
  const ids = new Set(formatted.map(({ report }) => report?.formationId ?? ""));
  const [formationId = ""] = [...ids];
  if (ids.size > 1 || formationId === "") {
    const note = "Some disks are formatted, but not of one formation. Put back the right claims.";
    return { kind: "refuse", reason: "DisksDisagree", note };
  }
  return { kind: "adopt", formationId };
}
