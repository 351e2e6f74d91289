// Goal: identities are what we certified, over real TLS 1.3, and nothing else gets a certificate.
import "reflect-metadata";
import assert from "node:assert/strict";
import { createHmac, createPrivateKey, webcrypto } from "node:crypto";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import * as x509 from "@peculiar/x509";
import { Authority, createAuthority, leafDays, renewBeforeMs } from "./authority.ts";
import { createEdgeSecret } from "./edge-secret.ts";
import { certificateFacts, edgeUri, isSignedBy, operatorUri, replicaUri } from "./identity.ts";
import { publicKeyOfPem } from "./keys.ts";
import { proofHolds, randomHex } from "./proof.ts";

const cluster = "0f".repeat(16);
const nowMs = Date.parse("2026-11-21T10:00:00Z");

async function authorityOf(atMs = nowMs): Promise<Authority> {
  const opened = await Authority.open(await createAuthority(cluster, atMs));
  assert.ok(opened.ok);
  return opened.value;
}

async function requestOf(): Promise<{ csr: string; publicKey: string }> {
  const keys = (await webcrypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ])) as webcrypto.CryptoKeyPair;
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: "CN=anything, O=whatever it asks for",
    keys,
    signingAlgorithm: { name: "Ed25519" },
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: operatorUri(cluster) }]),
    ],
  });
  const raw = Buffer.from(await webcrypto.subtle.exportKey("raw", keys.publicKey)).toString("hex");
  return { csr: request.toString("pem"), publicKey: raw };
}

test("pki: a request gets the identity established, never the one it asks for", async () => {
  const authority = await authorityOf();
  const { csr, publicKey } = await requestOf();
  const certified = await authority.certify(csr, publicKey, replicaUri(cluster, "lobby", 2), nowMs);
  assert.ok(certified.ok);
  const facts = certificateFacts(certified.value);
  assert.ok(facts.ok);
  assert.deepEqual(facts.value.uris, [`tigerchat://${cluster}/lobby/2`]);
  assert.equal(facts.value.publicKey, publicKey);
  assert.equal(facts.value.notAfterMs - nowMs, leafDays * 24 * 3600 * 1000);
  assert.ok(renewBeforeMs < leafDays * 24 * 3600 * 1000);
  assert.ok(isSignedBy(certified.value, authority.certificatePem));
  assert.ok(!isSignedBy(certified.value, (await authorityOf()).certificatePem));
});

test("pki: a request with another key than proven, or damaged, is refused", async () => {
  const authority = await authorityOf();
  const [one, other] = [await requestOf(), await requestOf()];
  const uri = replicaUri(cluster, "lobby", 0);
  const foreign = await authority.certify(one.csr, other.publicKey, uri, nowMs);
  assert.deepEqual(foreign, { ok: false, reason: "request_key" });
  const bytes = Buffer.from(one.csr.split("\n").slice(1, -1).join(""), "base64");
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  const [begin, end] = ["BEGIN", "END"].map((word) => `-----${word} CERTIFICATE REQUEST-----`);
  const pem = `${begin}\n${bytes.toString("base64")}\n${end}\n`;
  const damaged = await authority.certify(pem, one.publicKey, uri, nowMs);
  assert.ok(!damaged.ok);
});

test("pki: a CA whose files do not belong together is refused", async () => {
  const [a, b] = [await createAuthority(cluster, nowMs), await createAuthority(cluster, nowMs)];
  const mixed = await Authority.open({ certificate: a.certificate, key: b.key });
  assert.deepEqual(mixed, { ok: false, reason: "authority_files" });
});

test("pki: operator and replica meet over TLS 1.3 with both sides authenticated", async () => {
  const authority = await authorityOf(Date.now());
  const server = await authority.issue(replicaUri(cluster, "lobby", 0), Date.now());
  const client = await authority.issue(operatorUri(cluster), Date.now());
  const ca = authority.certificatePem;
  const listener = createServer({
    key: server.key,
    cert: server.certificate,
    ca,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
  });
  listener.on("secureConnection", (socket) =>
    socket.end(socket.getPeerCertificate().subjectaltname ?? ""),
  );
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  const socket = connect({
    host: "127.0.0.1",
    port,
    ca,
    key: client.key,
    cert: client.certificate,
    minVersion: "TLSv1.3",
    checkServerIdentity: (_host, peer) =>
      peer.subjectaltname === `URI:${replicaUri(cluster, "lobby", 0)}`
        ? undefined
        : new Error("who"),
  });
  const seen: string = await new Promise((resolve, reject) => {
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    socket.on("end", () => resolve(text));
    socket.on("error", reject);
  });
  listener.close();
  assert.equal(seen, `URI:${operatorUri(cluster)}`);
});

test("pki: only a holder of the bootstrap secret passes, for this nonce and replica", () => {
  const bootstrap = randomHex(32);
  const asked = { bootstrap, nonce: randomHex(32), cluster, shard: "lobby", replica: 1 };
  const publicKey = randomHex(32);
  const text = `${asked.nonce}|${cluster}|lobby|1|${publicKey}`;
  const proof = createHmac("sha256", Buffer.from(bootstrap, "hex")).update(text).digest("hex");
  const answer = { replica: 1, incarnation: randomHex(16), publicKey, csr: "", proof };
  assert.ok(proofHolds(answer, asked));
  assert.ok(!proofHolds(answer, { ...asked, nonce: randomHex(32) }));
  assert.ok(!proofHolds(answer, { ...asked, replica: 2 }));
  assert.ok(!proofHolds(answer, { ...asked, bootstrap: randomHex(32) }));
  assert.ok(!proofHolds({ ...answer, publicKey: randomHex(32) }, asked));
});

test("pki: the edge's secret holds what its files need, and of API keys only hashes", async () => {
  const secret = await createEdgeSecret(await authorityOf(), cluster, nowMs);
  const facts = certificateFacts(secret["tls.crt"]);
  assert.ok(facts.ok);
  assert.deepEqual(facts.value.uris, [edgeUri(cluster)]);
  assert.equal(publicKeyOfPem(secret["tls.key"]), facts.value.publicKey);
  assert.ok(!secret["api-keys.json"].includes(secret["api-key"]));
  const jwks = JSON.parse(secret["jwt.json"]) as { keys: { d: string; x: string; alg: string }[] };
  assert.equal(jwks.keys[0]?.alg, "EdDSA");
  const key = createPrivateKey({ key: jwks.keys[0] as never, format: "jwk" });
  assert.equal(key.asymmetricKeyType, "ed25519");
  assert.notEqual(
    Buffer.from(jwks.keys[0]?.x ?? "", "base64url").toString("hex"),
    facts.value.publicKey,
  );
});
