import type { Finding } from "./conditions.ts";
import type { ObservedShard } from "./observed.ts";
import { isHealthy, quorumOf } from "./quorum.ts";

/** What to do about the version of the machine that a shard runs (vsr rule A12). */
export type UpgradeStep =
  | { readonly kind: "none" }
  /** Not now; `reason` of the condition, with a sentence. */
  | { readonly kind: "wait"; readonly reason: string; readonly note: string }
  /** Ask the primary for that version. */
  | { readonly kind: "upgrade"; readonly primary: number; readonly version: number };

/**
 * A later version of the machine cannot be taken back, and a build that does not know it stops. So
 * it waits until all three run the proven template, are caught up and know the version; the
 * primary asks the same of its peers once more.
 */
export function upgradeStep(observed: ObservedShard): UpgradeStep {
  const machines = observed.members.flatMap(({ report }) => report?.machine ?? []);
  if (machines.length < observed.members.length) {
    return wait("NotAsked", "Not all replicas could be asked which versions they run.");
  }
  const running = machines.flatMap(({ version }) => version ?? []);
  if (running.length < machines.length) return wait("NotRunning", "Not all replicas run.");
  const version = Math.min(...machines.map(({ max }) => max));
  if (Math.min(...running) >= version) return { kind: "none" };
  const { wanted, current, proven } = observed.template;
  const rolling = observed.members.some(({ pod }) => pod?.templateHash !== wanted);
  if (wanted !== current || wanted !== proven || rolling) {
    return wait("Rolling", `Version ${version} waits until the template runs everywhere.`);
  }
  const unwell = observed.members.find((member) => !isHealthy(member));
  if (unwell !== undefined) {
    return wait("NotCaughtUp", `Version ${version} waits for replica ${unwell.replica}.`);
  }
  const { primary } = quorumOf(observed);
  if (primary === null) return wait("NoPrimary", "No view has a quorum.");
  return { kind: "upgrade", primary, version };
}

function wait(reason: string, note: string): UpgradeStep {
  return { kind: "wait", reason, note };
}

/** The condition about it. */
export function machineFinding(observed: ObservedShard): Finding {
  const type = "MachineUpToDate";
  const step = upgradeStep(observed);
  switch (step.kind) {
    case "none": {
      const version = observed.members[0]?.report?.machine?.version ?? 0;
      const message = `Version ${version} of the machine runs, the newest that all builds know.`;
      return { type, status: "True", reason: "Newest", message };
    }
    case "wait": {
      const status = ["NotAsked", "NotRunning"].includes(step.reason) ? "Unknown" : "False";
      return { type, status, reason: step.reason, message: step.note };
    }
    case "upgrade": {
      const message = `Version ${step.version} of the machine is being asked for.`;
      return { type, status: "False", reason: "Upgrading", message };
    }
    default:
      return step satisfies never;
  }
}
