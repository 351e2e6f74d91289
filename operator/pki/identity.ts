import { X509Certificate } from "node:crypto";
import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { publicKeyOfPem } from "./keys.ts";

/** The SAN of replica N of a shard; its role is "replica". */
export function replicaUri(cluster: string, shard: string, replica: number): string {
  return `tigerchat://${cluster}/${shard}/${replica}`;
}

/** The SAN of every edge of a fleet. */
export function edgeUri(cluster: string): string {
  return `tigerchat://${cluster}/edge`;
}

/** The SAN of the operator, the only role that admin ports answer. */
export function operatorUri(cluster: string): string {
  return `tigerchat://${cluster}/operator`;
}

/** What a certificate says. */
export interface CertificateFacts {
  /** Ed25519 key, 64 hex digits. */
  readonly publicKey: string;
  /** Identities, from the subject's alternative names. */
  readonly uris: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Reads a PEM certificate (the first of a chain). */
export function certificateFacts(pem: string): Result<CertificateFacts, "certificate_unreadable"> {
  try {
    const certificate = new X509Certificate(pem);
    const names = certificate.subjectAltName ?? "";
    return ok({
      publicKey: publicKeyOfPem(
        certificate.publicKey.export({ format: "pem", type: "spki" }).toString(),
      ),
      uris: names
        .split(", ")
        .filter((name) => name.startsWith("URI:"))
        .map((name) => name.slice("URI:".length)),
      notBeforeMs: Date.parse(certificate.validFrom),
      notAfterMs: Date.parse(certificate.validTo),
    });
  } catch {
    return fail("certificate_unreadable");
  }
}

/** True when `pem` is signed by the CA of `authorityPem`; time and names are not looked at. */
export function isSignedBy(pem: string, authorityPem: string): boolean {
  try {
    return new X509Certificate(pem).verify(new X509Certificate(authorityPem).publicKey);
  } catch {
    return false;
  }
}
