import "reflect-metadata";
import { randomBytes, webcrypto, X509Certificate as NodeCertificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { assert } from "#replica/base/assert.ts";
import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { pemOfPrivateKey, privateKeyFrom, rawPublicKeyOf } from "./keys.ts";

x509.cryptoProvider.set(webcrypto as Crypto);

const dayMs = 24 * 3600 * 1000;
/** How long a fleet's CA is valid. */
export const authorityDays = 3650;
/** How long certificates of processes are valid. */
export const leafDays = 90;
/** A certificate with less than this left is renewed. */
export const renewBeforeMs = 30 * dayMs;
// Clocks of nodes differ; a certificate must be good on a node that is a few minutes behind.
const backdateMs = 5 * 60 * 1000;

/** A CA as it is stored: certificate and private key, PEM. */
export interface AuthorityFiles {
  readonly certificate: string;
  readonly key: string;
}

/** A new key with its certificate, PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

/** Makes the CA of a fleet. `cluster`: its identity, 32 hex digits, in the subject for people. */
export async function createAuthority(cluster: string, nowMs: number): Promise<AuthorityFiles> {
  assert(/^[0-9a-f]{32}$/.test(cluster), "PKI-01: cluster");
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=TigerChat fleet ${cluster}`,
    notBefore: new Date(nowMs - backdateMs),
    notAfter: new Date(nowMs + authorityDays * dayMs),
    keys,
    signingAlgorithm: { name: "Ed25519" },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key: await pemOfPrivateKey(keys.privateKey) };
}

/** The CA of a fleet: certifies keys for identities that the caller has established. */
export class Authority {
  readonly certificatePem: string;
  private readonly certificate: x509.X509Certificate;
  private readonly key: CryptoKey;

  private constructor(files: AuthorityFiles, key: CryptoKey) {
    this.certificatePem = files.certificate;
    this.certificate = new x509.X509Certificate(files.certificate);
    this.key = key;
  }

  /** Reads a stored CA; a reason when the files are damaged or do not belong together. */
  static async open(files: AuthorityFiles): Promise<Result<Authority, "authority_files">> {
    try {
      const authority = new Authority(files, await privateKeyFrom(files.key));
      const fits = new NodeCertificate(files.certificate).verify(
        new NodeCertificate(files.certificate).publicKey,
      );
      const probe = await authority.issue("tigerchat://probe", 0);
      const chained = new NodeCertificate(probe.certificate).verify(
        new NodeCertificate(files.certificate).publicKey,
      );
      return fits && chained ? ok(authority) : fail("authority_files");
    } catch {
      return fail("authority_files");
    }
  }

  /**
   * Certifies the key of a request (PKCS #10) for `uri`. Nothing of the request is taken over but
   * its key, which must be `publicKey` (64 hex digits) and must have signed the request.
   */
  async certify(
    request: string,
    publicKey: string,
    uri: string,
    nowMs: number,
  ): Promise<Result<string, "request_unreadable" | "request_signature" | "request_key">> {
    let parsed: x509.Pkcs10CertificateRequest;
    try {
      parsed = new x509.Pkcs10CertificateRequest(request);
      if (!(await parsed.verify())) return fail("request_signature");
    } catch {
      return fail("request_unreadable");
    }
    const key = await parsed.publicKey.export();
    if ((await rawPublicKeyOf(key)) !== publicKey) return fail("request_key");
    return ok(await this.sign(key, uri, nowMs));
  }

  /** Makes a key and certifies it for `uri`: for processes that get theirs from a Secret. */
  async issue(uri: string, nowMs: number): Promise<Issued> {
    const keys = await newKeys();
    const certificate = await this.sign(keys.publicKey, uri, nowMs);
    return { certificate, key: await pemOfPrivateKey(keys.privateKey) };
  }

  private async sign(publicKey: CryptoKey, uri: string, nowMs: number): Promise<string> {
    assert(uri.startsWith("tigerchat://"), "PKI-02: identity");
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: "CN=TigerChat",
      issuer: this.certificate.subjectName,
      notBefore: new Date(nowMs - backdateMs),
      notAfter: new Date(nowMs + leafDays * dayMs),
      publicKey,
      signingKey: this.key,
      signingAlgorithm: { name: "Ed25519" },
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        new x509.SubjectAlternativeNameExtension([{ type: "url", value: uri }]),
        await x509.AuthorityKeyIdentifierExtension.create(this.certificate.publicKey),
      ],
    });
    return pemOf(certificate);
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ]) as Promise<webcrypto.CryptoKeyPair>;
}

function serial(): string {
  const bytes = randomBytes(16);
  // Positive and without a leading zero byte, as RFC 5280 4.1.2.2 has it.
  bytes[0] = 0x40 | ((bytes[0] ?? 0) & 0x3f);
  return bytes.toString("hex");
}

function pemOf(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem").trim()}\n`;
}
