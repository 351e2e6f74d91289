import "reflect-metadata";
import type { webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** A certificate with its private key (PKCS 8), both as PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly key: string;
}

/**
 * Who a certificate is for. Kubernetes reads the common name as user, the organizations as groups.
 */
export interface CertificateRequest {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
}

/** A certificate authority of one test cluster, living in memory. */
export interface Authority {
  readonly certificate: string;
  issue(request: CertificateRequest): Promise<Credentials>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const lifetimeMs = 30 * 24 * 3_600_000;
const clockSkewMs = 3_600_000;

/** Makes a new authority whose certificates (P-256, client and server use) are good for 30 days. */
export async function createAuthority(commonName: string): Promise<Authority> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [commonName] }],
    ...validity(),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return {
    certificate: certificate.toString("pem"),
    async issue(request) {
      const own = await generateKeys();
      const issued = await X509CertificateGenerator.create({
        serialNumber: serialNumber(),
        subject: subjectOf(request),
        issuer: certificate.subject,
        ...validity(),
        signingAlgorithm: algorithm,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          await AuthorityKeyIdentifierExtension.create(certificate.publicKey),
          new BasicConstraintsExtension(false, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]),
          ...alternativeNames(request),
        ],
      });
      return { certificate: issued.toString("pem"), key: await privatePem(own) };
    },
  };
}

/** A P-256 key pair as PEM: what the API server signs ServiceAccount tokens with. */
export async function createKeyPair(): Promise<{ privateKey: string; publicKey: string }> {
  const keys = await generateKeys();
  const spki = await crypto.subtle.exportKey("spki", keys.publicKey);
  return { privateKey: await privatePem(keys), publicKey: PemConverter.encode(spki, "PUBLIC KEY") };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function privatePem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  return PemConverter.encode(
    await crypto.subtle.exportKey("pkcs8", keys.privateKey),
    "PRIVATE KEY",
  );
}

function subjectOf(request: CertificateRequest): Array<Record<string, string[]>> {
  const groups = request.organizations ?? [];
  return [...groups.map((group) => ({ O: [group] })), { CN: [request.commonName] }];
}

function alternativeNames(request: CertificateRequest): SubjectAlternativeNameExtension[] {
  const dns = (request.dnsNames ?? []).map((value) => ({ type: "dns" as const, value }));
  const ips = (request.addresses ?? []).map((value) => ({ type: "ip" as const, value }));
  const names = [...dns, ...ips];
  return names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)];
}

function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - clockSkewMs), notAfter: new Date(now + lifetimeMs) };
}

function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  // A leading 0x01 keeps the number positive and its length constant (RFC 5280, section 4.1.2.2).
  bytes[0] = 1;
  return Buffer.from(bytes).toString("hex");
}
