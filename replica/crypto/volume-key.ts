import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { assert } from "#replica/base/assert.ts";
import { type Incarnation, incarnationFrom } from "#replica/base/brands.ts";
import { bytesFromHex, hexFrom } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import { der, derBits, derObjectId, derTag, pemFrom } from "./der.ts";

/** The Ed25519 key of one volume: TLS identity and frame signatures of its replica. */
export interface VolumeKey {
  readonly privateKey: KeyObject;
  /** PKCS #8 PEM; stays on the volume. */
  readonly privatePem: string;
  /** What its file holds: the PEM, before it the incarnation where another key named it. */
  readonly fileText: string;
  /** Raw public key, 64 hex digits. */
  readonly publicKey: string;
  /** Follows from the volume's first key, which is random: one life of a disk. */
  readonly incarnation: Incarnation;
}

const incarnationWord = "incarnation";
const incarnationForm = /^incarnation ([0-9a-f]{32})\n/;
const ed25519 = der(derTag.sequence, derObjectId("1.3.101.112"));
const commonName = "2.5.4.3";
const subjectAltName = "2.5.29.17";
const extensionRequest = "1.2.840.113549.1.9.14";

function volumeKeyOf(privateKey: KeyObject, named: Incarnation | null = null): VolumeKey {
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  assert(spki.length === 44, "CRY-90: an Ed25519 SPKI has 44 bytes");
  const raw = spki.subarray(12);
  const name = createHash("sha256").update("tigerchat incarnation").update(raw).digest("hex");
  const privatePem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return {
    privateKey,
    privatePem,
    fileText: named === null ? privatePem : `${incarnationWord} ${named}\n${privatePem}`,
    publicKey: hexFrom(raw),
    incarnation: named ?? incarnationFrom(name.slice(0, 32)),
  };
}

/** A new random key: of a new volume, or the next one of the volume of that incarnation. */
export function makeVolumeKey(incarnation: Incarnation | null = null): VolumeKey {
  return volumeKeyOf(generateKeyPairSync("ed25519").privateKey, incarnation);
}

/** The key of a file's text or of a plain PKCS #8 PEM, or null when it is not an Ed25519 key. */
export function volumeKeyFromPem(pem: string): VolumeKey | null {
  try {
    const key = createPrivateKey(pem);
    const [, named] = incarnationForm.exec(pem) ?? [];
    const incarnation = named === undefined ? null : incarnationFrom(named);
    return key.asymmetricKeyType === "ed25519" ? volumeKeyOf(key, incarnation) : null;
  } catch {
    return null;
  }
}

function spkiOf(key: VolumeKey): Uint8Array {
  return der(derTag.sequence, ed25519, derBits(bytesFromHex(key.publicKey)));
}

function nameOf(text: string): Uint8Array {
  const value = der(derTag.utf8, utf8From(text));
  return der(
    derTag.sequence,
    der(derTag.set, der(derTag.sequence, derObjectId(commonName), value)),
  );
}

function extensionsOf(uri: string): Uint8Array {
  const names = der(derTag.sequence, der(derTag.uri, utf8From(uri)));
  const altName = der(derTag.octetString, names);
  return der(derTag.sequence, der(derTag.sequence, derObjectId(subjectAltName), altName));
}

function signed(key: VolumeKey, toBeSigned: Uint8Array): Uint8Array {
  const signature = sign(null, toBeSigned, key.privateKey);
  return der(derTag.sequence, toBeSigned, ed25519, derBits(signature));
}

/** PKCS #10 request (RFC 2986) for a certificate with that URI as subject alternative name. */
export function certificateRequestPem(key: VolumeKey, uri: string): string {
  const attribute = der(
    derTag.sequence,
    derObjectId(extensionRequest),
    der(derTag.set, extensionsOf(uri)),
  );
  const info = der(
    derTag.sequence,
    der(derTag.integer, Uint8Array.of(0)),
    nameOf("tigerchat"),
    spkiOf(key),
    der(derTag.context0, attribute),
  );
  return pemFrom("CERTIFICATE REQUEST", signed(key, info));
}

function timeOf(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return der(derTag.generalizedTime, utf8From(digits));
}

/** A certificate of the key by itself, for the admin port before it is certified. */
export function selfSignedPem(key: VolumeKey, uri: string, nowMs: number): string {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const name = nameOf("tigerchat uncertified");
  const info = der(
    derTag.sequence,
    der(derTag.context0, der(derTag.integer, Uint8Array.of(2))),
    der(derTag.integer, serial),
    ed25519,
    name,
    der(derTag.sequence, timeOf(nowMs - 3_600_000), timeOf(nowMs + 365 * 86_400_000)),
    name,
    spkiOf(key),
    der(derTag.context3, extensionsOf(uri)),
  );
  return pemFrom("CERTIFICATE", signed(key, info));
}

/** What a PEM certificate (the first of a chain) is for, or null when it is none. */
export function certificateFacts(pem: string): {
  readonly publicKey: string;
  readonly uris: readonly string[];
  readonly notAfterMs: number;
} | null {
  try {
    const certificate = new X509Certificate(pem);
    const spki = certificate.publicKey.export({ type: "spki", format: "der" });
    const names = (certificate.subjectAltName ?? "").split(", ");
    return {
      publicKey: spki.length === 44 ? hexFrom(spki.subarray(12)) : "",
      uris: names.filter((name) => name.startsWith("URI:")).map((name) => name.slice(4)),
      notAfterMs: Date.parse(certificate.validTo),
    };
  } catch {
    return null;
  }
}

/** HMAC-SHA256 in hex: proves that the volume's process holds the bootstrap secret. */
export function bootstrapProof(secret: Uint8Array, text: string): string {
  return createHmac("sha256", secret).update(text, "utf8").digest("hex");
}

/** SHA-256 of bytes in hex: fingerprint of a trust bundle. */
export function fingerprintOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
