import type { RotateAnswer } from "#replica/admin/admin-calls.ts";
import type { AdminStatus } from "#replica/admin/admin-status.ts";
import type { AdminClient, AdminOutcome } from "./admin-client.ts";
import type { Authority } from "./authority.ts";
import { replicaUri } from "./identity.ts";
import { proofHolds, randomHex } from "./proof.ts";

/** Whose key changes, and how long that may take. */
export interface RotateOptions {
  /** Admin ports of the three, by replica. */
  readonly admins: readonly AdminClient[];
  readonly authority: Authority;
  /** Secret of the shard, 64 hex digits. */
  readonly bootstrap: string;
  readonly cluster: string;
  readonly shard: string;
  readonly replica: number;
  /** The key that is to go: a replica that has another one by now is left alone. Absent: any. */
  readonly retire?: string;
  /** Writes down the next key before it is certified or asked for; what it throws ends the call. */
  readonly record?: (next: string) => Promise<void>;
  /** Wall clock, for the certificate. */
  readonly nowMs: number;
  /** Milliseconds until it gives up; the same call later goes on where it stood. */
  readonly limitMs: number;
}

/** What came of it: `why` is a sentence for a person. */
export type RotateOutcome =
  | { readonly kind: "rotated"; readonly publicKey: string }
  | { readonly kind: "refused"; readonly why: string };

/** Milliseconds between two tries. */
const pauseMs = 50;

/**
 * Gives a replica another key on the volume that it has: the replica makes it, it is certified, the
 * primary has it committed with the former key's consent, and it is done when the former one is
 * destroyed. A rotation that was begun before is finished instead. All three must run and vote.
 */
export async function rotateKey(options: RotateOptions): Promise<RotateOutcome> {
  const untilMs = performance.now() + options.limitMs;
  const own = options.admins[options.replica];
  if (own === undefined) return { kind: "refused", why: `There is no replica ${options.replica}.` };
  let why = `Replica ${options.replica} does not answer.`;
  let next: RotateAnswer | null = null;
  let wanted: string | null = null;
  while (performance.now() < untilMs) {
    const status = await own.status();
    if (status.kind !== "ok") {
      why = whyOf(status);
    } else if (wanted !== null && isAlone(status.value, wanted)) {
      return { kind: "rotated", publicKey: wanted };
    } else if (isSwitched(status.value)) {
      // To ask for a next key now would make one more, should the former one go meanwhile.
      if (wanted === null) await options.record?.(status.value.publicKey);
      wanted = status.value.publicKey;
      why = "The former key waits until both peers hold the next one durably.";
    } else if (next === null) {
      const begun: RotateAnswer | string = await begin(options, own, status.value);
      if (typeof begun === "string") why = begun;
      else next = begun;
      wanted = next?.publicKey ?? null;
    } else {
      why = (await commit(options, next)) ?? "The key is committed, but not followed yet.";
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return { kind: "refused", why };
}

function isAlone({ publicKey, nextKey }: AdminStatus, wanted: string): boolean {
  return publicKey === wanted && nextKey === undefined;
}

/** The next key counts already; the former one is still there. */
function isSwitched(status: AdminStatus): status is AdminStatus & { readonly publicKey: string } {
  return status.publicKey !== null && status.publicKey === status.nextKey;
}

function whyOf(outcome: Exclude<AdminOutcome<unknown>, { kind: "ok" }>): string {
  return outcome.kind === "refused" ? outcome.detail : outcome.why;
}

/** The next key, made and certified; or why not. */
async function begin(
  options: RotateOptions,
  own: AdminClient,
  status: AdminStatus,
): Promise<RotateAnswer | string> {
  const { authority, bootstrap, cluster, shard, replica, nowMs } = options;
  const retire = options.retire ?? status.publicKey;
  if (retire === null) return `Replica ${replica} has no key yet.`;
  const nonce = randomHex(32);
  const answered = await own.rotate({ nonce, retire });
  if (answered.kind !== "ok") return whyOf(answered);
  const { publicKey, csr } = answered.value;
  if (!proofHolds(answered.value, { bootstrap, nonce, cluster, shard, replica })) {
    return "The proof by the shard's bootstrap secret does not hold.";
  }
  await options.record?.(publicKey);
  const uri = replicaUri(cluster, shard, replica);
  const certificate = await authority.certify(csr, publicKey, uri, nowMs);
  if (!certificate.ok) return `Its request is not usable: ${certificate.reason}.`;
  const installed = await own.certify({ certificate: certificate.value });
  return installed.kind === "ok" ? answered.value : whyOf(installed);
}

/** Asks the primary; null when it is committed. A build that does not know the call is found. */
async function commit(
  { admins }: RotateOptions,
  { replica, incarnation, publicKey, consent }: RotateAnswer,
): Promise<string | null> {
  const statuses = await Promise.all(admins.map((admin) => admin.status()));
  const lead = statuses.findIndex((status, index) => {
    return status.kind === "ok" && status.value.primary === index;
  });
  const leads = statuses[lead];
  const view = leads?.kind === "ok" ? leads.value.view : null;
  if (view === null || leads === undefined) return "The shard has no primary.";
  const request = { view, replica, incarnation, publicKey, consent };
  const others = admins.filter((_, index) => index !== lead);
  for (const [index, admin] of others.entries()) {
    const asked = await admin.rekey(request);
    // It says that it does not lead; a build of before the call could not read the op.
    const knows = asked.kind === "ok" || (asked.kind === "refused" && asked.code !== "not_found");
    if (!knows) return `Another replica (${index}) does not answer for it: ${whyOf(asked)}`;
  }
  const done = await admins[lead]?.rekey(request);
  if (done === undefined || done.kind === "ok") return null;
  return whyOf(done);
}
