import type { ConnectionOptions, TLSSocket, TlsOptions } from "node:tls";
import { publicKeyHex } from "#replica/crypto/ed25519.ts";
import type { TlsIdentity } from "./tls-identity.ts";
import { identityFromAltName } from "./tls-identity.ts";

/** PEM texts of a TLS identity. `ca`: the trust bundle, one or more certificates. */
export interface TlsMaterial {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** Milliseconds from TCP connect to the end of the TLS handshake, unless configured otherwise. */
export const handshakeTimeoutMs = 3000;

const version = { minVersion: "TLSv1.3", maxVersion: "TLSv1.3" } as const;

/** A listener that demands a certificate of the trust bundle; TLS 1.3 only. */
export function listenOptions(
  material: TlsMaterial,
  handshakeTimeout = handshakeTimeoutMs,
): TlsOptions {
  return {
    ...material,
    ...version,
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout,
    noDelay: true,
  };
}

/**
 * A dial whose far end must have a certificate of the trust bundle. Names of hosts prove nothing
 * here: the caller checks the identity in the certificate before it sends a byte. `servername`: the
 * {@link keyName} of the key that the far end shall show, when it has two.
 */
export function dialOptions(
  material: TlsMaterial,
  host: string,
  port: number,
  servername = "",
): ConnectionOptions {
  return {
    servername,
    ...material,
    ...version,
    host,
    port,
    rejectUnauthorized: true,
    checkServerIdentity: () => undefined,
  };
}

/** Name of a public key, by which a dialler tells a listener of two keys which one it expects. */
export function keyName(publicKey: string): string {
  return publicKey === "" ? "" : `key-${publicKey.slice(0, 32)}`;
}

/** What the far end's certificate says. */
export interface PeerCertificate {
  readonly identity: TlsIdentity;
  /** Ed25519 as 64 hex digits; null for another kind of key (edges may have P-256). */
  readonly publicKey: string | null;
}

/** The far end's certificate, already chained to the trust bundle by TLS; null when not ours. */
export function peerCertificateOf(socket: TLSSocket): PeerCertificate | null {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined || !socket.authorized) return null;
  const identity = identityFromAltName(certificate.subjectAltName);
  if (identity === null) return null;
  const key = certificate.publicKey;
  return { identity, publicKey: key.asymmetricKeyType === "ed25519" ? publicKeyHex(key) : null };
}
