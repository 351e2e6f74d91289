import type { Event } from "#replica/vsr/event.ts";
import type { Replica } from "#replica/vsr/replica.ts";
import type { Member } from "#replica/wire/superblock.ts";

/** Refused with a sentence, under way, or a fact for ever. */
export type RekeyOutcome = { readonly refused: string } | "pending" | "done";

/** Asks a primary for a member's next key; harmless when it is under way or done. */
export function askRekey(
  replica: Replica,
  step: (event: Event) => void,
  member: Omit<Member, "replaceOp">,
): RekeyOutcome {
  if (replica.rekeyDone(member)) return "done";
  const refused = replica.rekeyRefusal(member);
  if (refused !== null) return { refused };
  step({ kind: "rekey", member });
  return replica.rekeyDone(member) ? "done" : "pending";
}
