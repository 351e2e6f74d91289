import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { TLSSocket } from "node:tls";
import {
  adminBodyBytesMax,
  adminCalls,
  checkAuditRequest,
  checkCertificateRequest,
  checkGenesisRequest,
  checkIdentityRequest,
  checkReplacement,
  checkReplaceRequest,
  checkRekeyRequest,
  checkRotateRequest,
  checkTransferRequest,
  checkUpgradeRequest,
  type AuditRequest,
  type CertificateRequest,
  type DoneAnswer,
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
import { type AdminErrorCode, adminErrors, adminProblem } from "#replica/admin/admin-error.ts";
import type { AdminStatus } from "#replica/admin/admin-status.ts";
import { type Checked, checkedFromText } from "#replica/admin/checked.ts";
import type { Log } from "./log.ts";

/** What a call leads to: an answer, or a row of the error table with a sentence. */
export type AdminOutcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: AdminErrorCode; readonly detail: string };

/** The replica behind the admin port. Every call is idempotent. */
export interface AdminHandler {
  status(): AdminStatus;
  identity(request: IdentityRequest): AdminOutcome<IdentityAnswer>;
  certificate(request: CertificateRequest): AdminOutcome<DoneAnswer>;
  genesis(request: GenesisRequest): Promise<AdminOutcome<DoneAnswer>>;
  transfer(request: TransferRequest): AdminOutcome<DoneAnswer>;
  replace(request: ReplaceRequest): AdminOutcome<Replacement>;
  upgrade(request: UpgradeRequest): AdminOutcome<DoneAnswer>;
  audit(request: AuditRequest): AdminOutcome<DoneAnswer>;
  rotate(request: RotateRequest): AdminOutcome<RotateAnswer>;
  rekey(request: RekeyRequest): AdminOutcome<DoneAnswer>;
  replacement(request: Replacement): Promise<AdminOutcome<DoneAnswer>>;
}

/** TLS of the admin port. `cert` may be self-signed; `ca` judges clients from the start. */
export interface AdminTls {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

type Refusal = { readonly ok: false; readonly code: AdminErrorCode; readonly detail: string };
type Answer = AdminOutcome<unknown>;

function refusal(code: AdminErrorCode, detail: string): Refusal {
  return { ok: false, code, detail };
}

function checked<T>(
  text: string,
  check: (value: unknown) => Checked<T>,
  act: (value: T) => Answer | Promise<Answer>,
): Answer | Promise<Answer> {
  const request = checkedFromText(text, check);
  return request.ok ? act(request.value) : refusal("bad_request", request.sentence);
}

function call(
  handler: AdminHandler,
  method: string,
  path: string,
  text: string,
): Answer | Promise<Answer> {
  const known = Object.values(adminCalls).find((row) => row.path === path);
  if (known === undefined) return refusal("not_found", `There is no ${path}.`);
  if (known.method !== method) return refusal("method_not_allowed", `Use ${known.method}.`);
  switch (known.path) {
    case "/v1/status":
      return { ok: true, value: handler.status() };
    case "/v1/identity":
      return checked(text, checkIdentityRequest, (request) => handler.identity(request));
    case "/v1/certificate":
      return checked(text, checkCertificateRequest, (request) => handler.certificate(request));
    case "/v1/genesis":
      return checked(text, checkGenesisRequest, (request) => handler.genesis(request));
    case "/v1/transfer":
      return checked(text, checkTransferRequest, (request) => handler.transfer(request));
    case "/v1/replace":
      return checked(text, checkReplaceRequest, (request) => handler.replace(request));
    case "/v1/replacement":
      return checked(text, checkReplacement, (request) => handler.replacement(request));
    case "/v1/rotate":
      return checked(text, checkRotateRequest, (request) => handler.rotate(request));
    case "/v1/rekey":
      return checked(text, checkRekeyRequest, (request) => handler.rekey(request));
    case "/v1/upgrade":
      return checked(text, checkUpgradeRequest, (request) => handler.upgrade(request));
    case "/v1/audit":
      return checked(text, checkAuditRequest, (request) => handler.audit(request));
    default:
      known satisfies never;
      return refusal("not_found", `There is no ${path}.`);
  }
}

/** Reads a body of bounded size; null when it is larger. */
async function bodyOf(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk as Uint8Array);
    length += bytes.length;
    if (length > adminBodyBytesMax) return null;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function isOperator(request: IncomingMessage, uri: string): boolean {
  const names = (request.socket as TLSSocket).getPeerCertificate()?.subjectaltname ?? "";
  return names.split(", ").includes(`URI:${uri}`);
}

async function outcomeOf(
  handler: AdminHandler,
  request: IncomingMessage,
  operatorUri: string,
): Promise<Answer> {
  if (!isOperator(request, operatorUri)) {
    return refusal("not_authorised", `Use a certificate for ${operatorUri}.`);
  }
  const text = await bodyOf(request);
  if (text === null) return refusal("too_large", `At most ${adminBodyBytesMax} bytes.`);
  const path = (request.url ?? "").split("?")[0] ?? "";
  return await call(handler, request.method ?? "", path, text);
}

function send(response: ServerResponse, outcome: Answer): void {
  if (outcome.ok) {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(outcome.value));
    return;
  }
  response.writeHead(adminErrors[outcome.code].status, {
    "content-type": "application/problem+json",
  });
  response.end(JSON.stringify(adminProblem(outcome.code, outcome.detail)));
}

/**
 * The admin port: HTTPS JSON, TLS 1.3, client certificates of the operator's role only. Renew its
 * identity with `server.setSecureContext`.
 */
export function makeAdminServer(
  handler: AdminHandler,
  tls: AdminTls,
  operatorUri: string,
  log: Log,
): Server {
  const options = { ...adminTlsOptions(tls), requestCert: true, rejectUnauthorized: true };
  const server = createServer(options, (request, response) => {
    outcomeOf(handler, request, operatorUri)
      .then((outcome) => {
        if (!outcome.ok) log.warn("admin call refused", { url: request.url, ...outcome });
        else if (request.method !== "GET") log.info("admin call done", { url: request.url });
        send(response, outcome);
      })
      .catch((error: unknown) => {
        log.error("admin call failed", { url: request.url, error: String(error) });
        response.destroy();
      });
  });
  server.on("tlsClientError", (error) => log.debug("admin handshake", { error: error.message }));
  server.maxConnections = 64;
  server.requestTimeout = 30_000;
  return server;
}

/** Options of the admin port's secure context. */
export function adminTlsOptions(tls: AdminTls): AdminTls & { readonly minVersion: "TLSv1.3" } {
  return { key: tls.key, cert: tls.cert, ca: tls.ca, minVersion: "TLSv1.3" };
}
