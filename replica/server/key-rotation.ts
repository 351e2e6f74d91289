import { readFileSync } from "node:fs";
import {
  type DoneAnswer,
  type IdentityAnswer,
  identityProofText,
  type RekeyRequest,
  rekeyConsentText,
  type RotateAnswer,
  type RotateRequest,
} from "#replica/admin/admin-calls.ts";
import type { ReplicaConfig } from "#replica/admin/replica-config.ts";
import { bytesFromHex, hexFrom } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import { publicKeyFrom, signEd25519, verifyEd25519 } from "#replica/crypto/ed25519.ts";
import {
  bootstrapProof,
  certificateRequestPem,
  type VolumeKey,
} from "#replica/crypto/volume-key.ts";
import type { AdminErrorCode } from "#replica/admin/admin-error.ts";
import type { AdminOutcome } from "./admin-server.ts";
import { askRekey } from "./ask-rekey.ts";
import { memberOf } from "./formation.ts";
import type { RunningReplica } from "./running-replica.ts";
import type { VolumeKeys } from "./volume-keys.ts";

/** Who a replica is, by its command line and configuration. */
export interface ReplicaName {
  readonly replica: number;
  readonly config: ReplicaConfig;
  /** The URI that its certificates name. */
  readonly uri: string;
}

function refuse(code: AdminErrorCode, detail: string) {
  return { ok: false, code, detail } as const;
}

/** What a key says of itself to who may certify it. */
export function identityOf(name: ReplicaName, key: VolumeKey, nonce: string): IdentityAnswer {
  const { replica, config } = name;
  const { cluster, shard, files } = config;
  const { publicKey, incarnation } = key;
  const text = identityProofText({ nonce, cluster, shard, replica, publicKey });
  const secret = bytesFromHex(readFileSync(files.bootstrap, "utf8").trim());
  const proof = bootstrapProof(secret, text);
  return { replica, incarnation, publicKey, csr: certificateRequestPem(key, name.uri), proof };
}

/** Makes the next key of this volume, or finds it, and lets the former one consent to it. */
export function rotate(
  name: ReplicaName,
  keys: VolumeKeys,
  request: RotateRequest,
): AdminOutcome<RotateAnswer> {
  const former = keys.former?.key;
  if (former === undefined) return refuse("no_identity", "Call /v1/identity first.");
  // A rotation that was cut off goes on, also where the next key counts already.
  const begun = keys.next !== null && keys.held(request.retire) !== null;
  if (former.publicKey !== request.retire && !begun) {
    return refuse("wrong_member", `The key of this volume is ${former.publicKey}.`);
  }
  const { cluster, shard } = name.config;
  const answer = identityOf(name, keys.makeNext(former), request.nonce);
  const text = rekeyConsentText({ ...answer, cluster, shard });
  const consent = hexFrom(signEd25519(former.privateKey, utf8From(text)));
  return { ok: true, value: { ...answer, consent } };
}

/** Has a member's next key committed, by this primary; asked again until it is. */
export function rekey(
  { config }: ReplicaName,
  running: RunningReplica,
  request: RekeyRequest,
): AdminOutcome<DoneAnswer> {
  const { replica: core } = running.host;
  const { view, consent, ...member } = request;
  if (view !== core.view) return refuse("view_moved", `The view is ${core.view}.`);
  if (!running.leads) return refuse("not_primary", "Ask the primary.");
  const outcome = running.host.command((replica, step) => {
    const known = replica.committedMembers[member.replica];
    if (known?.publicKey === member.publicKey) return "done";
    const key = publicKeyFrom(known?.publicKey ?? "");
    const text = utf8From(rekeyConsentText({ ...member, ...config }));
    const agreed = key !== null && verifyEd25519(key, text, bytesFromHex(consent));
    return agreed ? askRekey(replica, step, memberOf(member)) : "unasked";
  });
  if (outcome === "unasked") {
    return refuse("wrong_member", `Replica ${member.replica}'s key did not consent to that one.`);
  }
  if (outcome === "pending") return refuse("not_ready", "It is being committed; ask again.");
  if (outcome !== "done") return refuse("not_ready", outcome.refused);
  const { replica, publicKey } = member;
  running.audit?.note("rekey", { replica, public_key: publicKey });
  return { ok: true, value: { done: true } };
}
