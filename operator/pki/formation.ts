import type { GenesisMember, IdentityAnswer } from "#replica/admin/admin-calls.ts";
import type { AdminClient, AdminOutcome } from "./admin-client.ts";
import type { Authority } from "./authority.ts";
import { replicaUri } from "./identity.ts";
import { proofHolds, randomHex } from "./proof.ts";

/** Whom to certify, and what makes sure that it is the right one. */
export interface CertifyOptions {
  readonly admin: AdminClient;
  readonly authority: Authority;
  /** The shard's bootstrap secret, 64 hex digits. */
  readonly bootstrap: string;
  readonly cluster: string;
  readonly shard: string;
  readonly replica: number;
  readonly nowMs: number;
  /** A last look at the world after the proof: null to go on, or a sentence that says why not. */
  readonly object: (answer: IdentityAnswer) => Promise<string | null>;
}

/** What came of it. Only `unreachable` may be better at the next try. */
export type CertifyOutcome =
  | { readonly kind: "certified"; readonly member: GenesisMember }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "unreachable"; readonly why: string };

function bad(outcome: Exclude<AdminOutcome<unknown>, { kind: "ok" }>): CertifyOutcome {
  if (outcome.kind === "refused") return { kind: "refused", why: outcome.detail };
  return { kind: "unreachable", why: outcome.why };
}

/**
 * Gives a replica its certificate: nonce, identity, HMAC proof, the caller's objections, request,
 * certificate, in this order. Harmless when repeated.
 */
export async function certifyReplica(options: CertifyOptions): Promise<CertifyOutcome> {
  const { admin, authority, bootstrap, cluster, shard, replica, nowMs } = options;
  const nonce = randomHex(32);
  const answered = await admin.identity({ nonce });
  if (answered.kind !== "ok") return bad(answered);
  const { publicKey, incarnation, csr } = answered.value;
  if (!proofHolds(answered.value, { bootstrap, nonce, cluster, shard, replica })) {
    return { kind: "refused", why: "The proof by the shard's bootstrap secret does not hold." };
  }
  const objection = await options.object(answered.value);
  if (objection !== null) return { kind: "refused", why: objection };
  const uri = replicaUri(cluster, shard, replica);
  const certificate = await authority.certify(csr, publicKey, uri, nowMs);
  if (!certificate.ok) {
    return { kind: "refused", why: `Its request is not usable: ${certificate.reason}.` };
  }
  const installed = await admin.certify({ certificate: certificate.value });
  if (installed.kind !== "ok") return bad(installed);
  return { kind: "certified", member: { replica, incarnation, publicKey } };
}
