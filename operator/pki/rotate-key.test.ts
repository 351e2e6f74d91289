// Goal: the operator's side of a change of key makes exactly one, and lets nobody see it before it
// is written down. Method: a played admin port over real TLS; real replicas are in test/faults.
import "reflect-metadata";
import assert from "node:assert/strict";
import { createHmac, webcrypto } from "node:crypto";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import * as x509 from "@peculiar/x509";
import { identityProofText } from "#replica/admin/admin-calls.ts";
import { AdminClient } from "./admin-client.ts";
import { Authority, createAuthority } from "./authority.ts";
import { operatorUri, replicaUri } from "./identity.ts";
import { randomHex } from "./proof.ts";
import { rotateKey, type RotateOptions } from "./rotate-key.ts";

const cluster = "0f".repeat(16);
const [former, next] = ["aa".repeat(32), "bb".repeat(32)];

type Answers = (path: string, body: { readonly nonce?: string }) => object | undefined;

/** Runs against a port that answers by `answers`; undefined: 503. Ends it afterwards. */
async function against(
  answers: Answers,
  run: (options: RotateOptions, calls: readonly string[]) => Promise<void>,
): Promise<void> {
  const opened = await Authority.open(await createAuthority(cluster, Date.now()));
  assert.ok(opened.ok);
  const authority = opened.value;
  const identity = replicaUri(cluster, "lobby", 0);
  const own = await authority.issue(identity, Date.now());
  const client = await authority.issue(operatorUri(cluster), Date.now());
  const calls: string[] = [];
  const server = createServer({ key: own.key, cert: own.certificate }, (request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => {
      const path = request.url ?? "";
      calls.push(path);
      const answer = answers(path, JSON.parse(text || "{}") as { nonce?: string });
      response.statusCode = answer === undefined ? 503 : 200;
      response.end(JSON.stringify(answer ?? {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const ca = authority.certificatePem;
  const credentials = { cert: client.certificate, key: client.key, ca };
  const admin = new AdminClient({ host: "127.0.0.1", port, identity }, credentials);
  const facts = { authority, bootstrap, cluster, shard: "lobby", replica: 0 };
  try {
    await run({ ...facts, admins: [admin], nowMs: Date.now(), limitMs: 1_000 }, calls);
  } finally {
    server.close();
  }
}

const bootstrap = randomHex(32);

function statusOf(publicKey: string, nextKey?: string): object {
  return {
    ...{ replica: 0, shard: "lobby", cluster, state: "normal", incarnation: "1a".repeat(16) },
    ...{ publicKey, formationId: null, view: 0, primary: 0, head: 1, commitMin: 1, commitMax: 1 },
    ...{ checkpointOp: 0, voting: true, caughtUp: true, slots: { owned: 0, epoch: 0 } },
    ...{ version: "0.1.0", machine: { version: 1, min: 1, max: 1 }, trustFingerprint: null },
    ...{ peers: [], alarms: [], message: "", ...(nextKey === undefined ? {} : { nextKey }) },
  };
}

test("pki: a change that counts already is waited for, and no further key is made", async () => {
  let looks = 0;
  const answers: Answers = (path) => {
    if (path !== "/v1/status") return undefined;
    looks += 1;
    // The former key goes right after the first look.
    return statusOf(next, looks === 1 ? next : undefined);
  };
  await against(answers, async (options, calls) => {
    const recorded: string[] = [];
    const record = async (key: string) => void recorded.push(key);
    const outcome = await rotateKey({ ...options, record });
    assert.deepEqual(outcome, { kind: "rotated", publicKey: next });
    assert.deepEqual(recorded, [next]);
    assert.ok(!calls.includes("/v1/rotate"));
  });
});

test("pki: a next key that cannot be written down is neither certified nor asked for", async () => {
  const made = await webcrypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const keys = made as webcrypto.CryptoKeyPair;
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    ...{ name: "CN=replica", keys, signingAlgorithm: { name: "Ed25519" } },
  });
  const raw = Buffer.from(await webcrypto.subtle.exportKey("raw", keys.publicKey)).toString("hex");
  const answers: Answers = (path, { nonce = "" }) => {
    if (path === "/v1/status") return statusOf(former);
    if (path !== "/v1/rotate") return undefined;
    const text = identityProofText({
      ...{ nonce, cluster, shard: "lobby", replica: 0, publicKey: raw },
    });
    const proof = createHmac("sha256", Buffer.from(bootstrap, "hex")).update(text).digest("hex");
    const answer = { replica: 0, incarnation: "1a".repeat(16), publicKey: raw, proof };
    return { ...answer, csr: request.toString("pem"), consent: "00".repeat(64) };
  };
  await against(answers, async (options, calls) => {
    const record = (key: string) => Promise.reject(new Error(`conflict about ${key}`));
    await assert.rejects(rotateKey({ ...options, record }), new RegExp(`conflict about ${raw}`));
    assert.deepEqual(calls, ["/v1/status", "/v1/rotate"]);
    // Where it is written down, it is certified next.
    await rotateKey({ ...options, record: async () => {} });
    assert.equal(calls[4], "/v1/certificate");
  });
});

test("pki: only the key that was decided on goes", async () => {
  const asked: unknown[] = [];
  const answers: Answers = (path, body) => {
    if (path === "/v1/rotate") asked.push((body as { retire?: string }).retire);
    return path === "/v1/status" ? statusOf(next) : undefined;
  };
  await against(answers, async (options) => {
    const outcome = await rotateKey({ ...options, retire: former });
    assert.equal(outcome.kind, "refused");
    assert.ok(asked.length > 0 && asked.every((key) => key === former));
  });
});
