import { type RequestOptions, request } from "node:https";
import {
  adminBodyBytesMax,
  adminCalls,
  type AuditRequest,
  type CertificateRequest,
  checkDoneAnswer,
  checkIdentityAnswer,
  checkReplacement,
  checkRotateAnswer,
  type GenesisRequest,
  type IdentityAnswer,
  type IdentityRequest,
  type Replacement,
  type RekeyRequest,
  type ReplaceRequest,
  type RotateAnswer,
  type RotateRequest,
  type TransferRequest,
  type UpgradeRequest,
} from "#replica/admin/admin-calls.ts";
import { checkAdminProblem } from "#replica/admin/admin-error.ts";
import { type AdminStatus, checkAdminStatus } from "#replica/admin/admin-status.ts";
import { type Checked, checkedFromText } from "#replica/admin/checked.ts";

/** PEM texts with which the operator's role calls an admin port. */
export interface AdminCredentials {
  readonly cert: string;
  readonly key: string;
  /** Trust bundle of the fleet. */
  readonly ca: string;
}

/** What an admin call came to. `unreachable`: nothing is known; the rest is the replica's word. */
export type AdminOutcome<T> =
  | { readonly kind: "ok"; readonly value: T }
  | { readonly kind: "refused"; readonly code: string; readonly detail: string }
  | { readonly kind: "unreachable"; readonly why: string };

/** Which replica's admin port, and how sure its TLS identity is. */
export interface AdminTarget {
  readonly host: string;
  readonly port: number;
  /** URI that its certificate must carry, `tigerchat://<cluster>/<shard>/<replica>`. */
  readonly identity: string;
}

/** Milliseconds from a call to its answer at most. */
const callTimeoutMs = 5_000;

/**
 * Calls the admin port of one replica over mTLS 1.3. Before a replica is certified its server
 * certificate proves nothing: only {@link identity}, {@link certify} and {@link statusUnproven}
 * accept that, and the identity's HMAC proof stands in for it.
 */
export class AdminClient {
  private readonly target: AdminTarget;
  private readonly credentials: AdminCredentials;

  constructor(target: AdminTarget, credentials: AdminCredentials) {
    this.target = target;
    this.credentials = credentials;
  }

  /** Live facts of a certified replica. */
  status(): Promise<AdminOutcome<AdminStatus>> {
    return this.call(adminCalls.status, null, checkAdminStatus, true);
  }

  /** Facts of a replica that may not be certified yet: good for deciding what to try, no more. */
  statusUnproven(): Promise<AdminOutcome<AdminStatus>> {
    return this.call(adminCalls.status, null, checkAdminStatus, false);
  }

  /** Makes the volume's key if there is none; the caller checks the proof. */
  identity(body: IdentityRequest): Promise<AdminOutcome<IdentityAnswer>> {
    return this.call(adminCalls.identity, body, checkIdentityAnswer, false);
  }

  /** Installs the certificate of the volume's key. */
  certify(body: CertificateRequest): Promise<AdminOutcome<unknown>> {
    return this.call(adminCalls.certificate, body, checkDoneAnswer, false);
  }

  /** Formats the volume; repeating it with the same facts is harmless. */
  genesis(body: GenesisRequest): Promise<AdminOutcome<unknown>> {
    return this.call(adminCalls.genesis, body, checkDoneAnswer, true);
  }

  /** Asks for a planned transfer of the primary. */
  transfer(body: TransferRequest): Promise<AdminOutcome<unknown>> {
    return this.call(adminCalls.transfer, body, checkDoneAnswer, true);
  }

  /** Asks the primary to take a new volume for a lost one; `refused` not_ready: ask again. */
  replace(body: ReplaceRequest): Promise<AdminOutcome<Replacement>> {
    return this.call(adminCalls.replace, body, checkReplacement, true);
  }

  /** Has the replica make the next key of its volume, or tell it; the caller checks the proof. */
  rotate(body: RotateRequest): Promise<AdminOutcome<RotateAnswer>> {
    return this.call(adminCalls.rotate, body, checkRotateAnswer, true);
  }

  /** Asks the primary to have a member's next key committed; `refused` not_ready: ask again. */
  rekey(body: RekeyRequest): Promise<AdminOutcome<unknown>> {
    return this.call(adminCalls.rekey, body, checkDoneAnswer, true);
  }

  /** Asks the primary for a later version of the machine; `refused` not_ready: ask again. */
  upgrade(body: UpgradeRequest): Promise<AdminOutcome<unknown>> {
    return this.call(adminCalls.upgrade, body, checkDoneAnswer, true);
  }

  /** Hands lines of the operator to the shard's audit log, by any of its replicas. */
  audit(body: AuditRequest): Promise<AdminOutcome<unknown>> {
    return this.call(adminCalls.audit, body, checkDoneAnswer, true);
  }

  /** Formats an empty volume as a learner, by the primary's answer to {@link replace}. */
  replacement(body: Replacement): Promise<AdminOutcome<unknown>> {
    return this.call(adminCalls.replacement, body, checkDoneAnswer, true);
  }

  private async call<T>(
    call: { readonly method: string; readonly path: string },
    body: object | null,
    check: (value: unknown) => Checked<T>,
    proven: boolean,
  ): Promise<AdminOutcome<T>> {
    const answered = await this.send(call, body, proven);
    if (typeof answered === "string") return { kind: "unreachable", why: answered };
    if (answered.status === 200) {
      const checked = checkedFromText(answered.text, check);
      if (checked.ok) return { kind: "ok", value: checked.value };
      return { kind: "unreachable", why: `The answer is not understood: ${checked.sentence}` };
    }
    const problem = checkedFromText(answered.text, checkAdminProblem);
    if (!problem.ok) return { kind: "unreachable", why: `HTTP status ${answered.status}` };
    return { kind: "refused", code: problem.value.code, detail: problem.value.detail };
  }

  private send(
    call: { readonly method: string; readonly path: string },
    body: object | null,
    proven: boolean,
  ): Promise<string | { readonly status: number; readonly text: string }> {
    const content = body === null ? "" : JSON.stringify(body);
    return new Promise((resolve) => {
      const sent = request(this.optionsOf(call, content, proven), (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > adminBodyBytesMax)
            response.destroy(new Error("The answer is too long."));
        });
        response.on("error", (error) => resolve(error.message));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.on("error", (error) => resolve(error.message));
      sent.end(content);
    });
  }

  private optionsOf(
    call: { readonly method: string; readonly path: string },
    content: string,
    proven: boolean,
  ): RequestOptions {
    const expected = `URI:${this.target.identity}`;
    return {
      ...this.credentials,
      host: this.target.host,
      port: this.target.port,
      method: call.method,
      path: call.path,
      agent: false,
      minVersion: "TLSv1.3",
      rejectUnauthorized: proven,
      signal: AbortSignal.timeout(callTimeoutMs),
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(content) },
      checkServerIdentity: (_host, certificate) => {
        const names = certificate.subjectaltname?.split(", ") ?? [];
        if (names.includes(expected)) return undefined;
        return new Error(`The certificate is not that of ${this.target.identity}.`);
      },
    };
  }
}
