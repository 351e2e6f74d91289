import { createPrivateKey, randomBytes } from "node:crypto";
import type { Authority } from "./authority.ts";
import { edgeUri } from "./identity.ts";
import { sha256Hex } from "./proof.ts";

/** Entries of the edge's Secret: names are file names. */
export interface EdgeSecret {
  readonly "tls.crt": string;
  readonly "tls.key": string;
  /** JWKS with the private Ed25519 key that signs session tokens. */
  readonly "jwt.json": string;
  /** What the edge knows of API keys: hashes only. */
  readonly "api-keys.json": string;
  /** The API key itself, for people and their servers. */
  readonly "api-key": string;
}

/** Makes everything that edges of a fleet hold: certificate, token key, one API key for all. */
export async function createEdgeSecret(
  authority: Authority,
  cluster: string,
  nowMs: number,
): Promise<EdgeSecret> {
  const tls = await authority.issue(edgeUri(cluster), nowMs);
  // A key of its own: whoever may read tokens' keys must not be able to speak to shards.
  const tokens = await authority.issue(edgeUri(cluster), nowMs);
  const id = randomBytes(6).toString("hex");
  const apiKey = `tck_${id}_${randomBytes(24).toString("base64url")}`;
  const scopes = ["rooms", "sessions", "read", "post", "audit"];
  return {
    "tls.crt": tls.certificate,
    "tls.key": tls.key,
    "jwt.json": `${JSON.stringify({ keys: [tokenKeyOf(tokens.key)] })}\n`,
    "api-keys.json": `${JSON.stringify([{ id, sha256: sha256Hex(apiKey), tenant: "", scopes }])}\n`,
    "api-key": apiKey,
  };
}

function tokenKeyOf(pem: string): { readonly [member: string]: unknown } {
  const jwk = createPrivateKey(pem).export({ format: "jwk" });
  // RFC 7638: the thumbprint of the required members in this order names the key.
  const kid = sha256Hex(JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x })).slice(0, 16);
  return { ...jwk, alg: "EdDSA", use: "sig", kid };
}
