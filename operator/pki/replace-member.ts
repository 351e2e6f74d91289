import type { GenesisMember } from "#replica/admin/admin-calls.ts";
import type { AdminClient } from "./admin-client.ts";

/** Which replica is replaced, and how long that may take. */
export interface ReplaceOptions {
  /** Admin ports of the three, by replica. */
  readonly admins: readonly AdminClient[];
  /** The new volume, certified: `certifyReplica`'s answer for an unformatted replica. */
  readonly member: GenesisMember;
  /** Milliseconds until it gives up; the same call later goes on where it stood. */
  readonly limitMs: number;
}

/** What came of it: `why` is a sentence for a person. */
export type ReplaceOutcome =
  | { readonly kind: "replaced" }
  | { readonly kind: "refused"; readonly why: string };

/** Milliseconds between two tries. */
const pauseMs = 50;

/**
 * Puts an empty volume in the place of a lost one (A11): the primary commits the REPLACE with
 * its no-ops, then the volume is formatted as a learner, which votes once it has caught up.
 * Harmless when repeated with the same member. Both other replicas must run.
 */
export async function replaceMember(options: ReplaceOptions): Promise<ReplaceOutcome> {
  const { admins, member, limitMs } = options;
  const own = admins[member.replica];
  if (own === undefined) return { kind: "refused", why: `There is no replica ${member.replica}.` };
  const untilMs = performance.now() + limitMs;
  let why = "The shard has no primary.";
  while (performance.now() < untilMs) {
    for (const [replica, admin] of admins.entries()) {
      if (replica === member.replica) continue;
      const status = await admin.status();
      if (status.kind !== "ok" || status.value.primary !== replica) continue;
      const { state, view } = status.value;
      if (state !== "normal" || view === null) continue;
      const done = await admin.replace({ view, ...member });
      if (done.kind === "ok") {
        const formatted = await own.replacement(done.value);
        if (formatted.kind === "ok") return { kind: "replaced" };
        why = formatted.kind === "refused" ? formatted.detail : formatted.why;
      } else {
        why = done.kind === "refused" ? done.detail : done.why;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return { kind: "refused", why };
}
