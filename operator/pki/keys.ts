import { createPrivateKey, createPublicKey, webcrypto } from "node:crypto";

/** PKCS #8 PEM of an extractable private key. */
export async function pemOfPrivateKey(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  const pem = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return pem.export({ format: "pem", type: "pkcs8" }).toString();
}

/** The Ed25519 private key of a PKCS #8 PEM, for signing only. */
export async function privateKeyFrom(pem: string): Promise<CryptoKey> {
  const der = createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
  return webcrypto.subtle.importKey("pkcs8", der, "Ed25519", false, ["sign"]);
}

/** The 32 bytes of an Ed25519 public key as 64 hex digits. */
export async function rawPublicKeyOf(key: CryptoKey): Promise<string> {
  return Buffer.from(await webcrypto.subtle.exportKey("raw", key)).toString("hex");
}

/** The 32 bytes of the Ed25519 public key of a certificate or key in PEM, as hex. */
export function publicKeyOfPem(pem: string): string {
  const jwk = createPublicKey(pem).export({ format: "jwk" });
  return Buffer.from(jwk.x ?? "", "base64url").toString("hex");
}
