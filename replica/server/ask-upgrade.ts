import type { Event } from "#replica/vsr/event.ts";
import type { Replica } from "#replica/vsr/replica.ts";

/** Refused with a sentence, under way, or that version (or a later one) runs here (A12). */
export type UpgradeOutcome = { readonly refused: string } | "pending" | "done";

/** Asks a primary for a later version of the machine; harmless when it is under way or done. */
export function askUpgrade(
  replica: Replica,
  step: (event: Event) => void,
  version: number,
): UpgradeOutcome {
  if (replica.machineVersion >= version) return "done";
  const refused = replica.upgradeRefusal(version);
  if (refused !== null) return { refused };
  step({ kind: "upgrade", version });
  return "pending";
}
