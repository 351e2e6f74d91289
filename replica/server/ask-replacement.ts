import type { Op, View } from "#replica/base/brands.ts";
import type { Event } from "#replica/vsr/event.ts";
import type { Replica } from "#replica/vsr/replica.ts";
import type { Member } from "#replica/wire/superblock.ts";

/** Refused with a sentence, under way, or what the new volume is formatted by (A11). */
export type ReplaceOutcome =
  | { readonly refused: string }
  | "pending"
  /** Last op that the new volume must learn, and the view that its vote floor lies above. */
  | { readonly learnOp: Op; readonly view: View };

/** Asks a primary for a replacement; harmless when it is under way or done. */
export function askReplacement(
  replica: Replica,
  step: (event: Event) => void,
  member: Omit<Member, "replaceOp">,
): ReplaceOutcome {
  const refused = replica.replaceRefusal(member);
  if (refused !== null) return { refused };
  const learnOp = replica.replacementDone(member.incarnation);
  if (learnOp !== null) return { learnOp, view: replica.view };
  step({ kind: "replace", member });
  return "pending";
}
