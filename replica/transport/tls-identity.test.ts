// Goal: exactly the names that the operator issues are identities.
import assert from "node:assert/strict";
import { test } from "node:test";
import { replicaFrom } from "#replica/base/brands.ts";
import {
  identityFromAltName,
  identityFromUri,
  identityUri,
  type TlsIdentity,
} from "./tls-identity.ts";

const cluster = "00112233445566778899aabbccddeeff";

test("transport: identities of all three roles survive their URI", () => {
  const identities: readonly TlsIdentity[] = [
    { role: "replica", cluster, shard: "lobby", replica: replicaFrom(2) },
    { role: "edge", cluster },
    { role: "operator", cluster },
  ];
  for (const identity of identities) {
    assert.deepEqual(identityFromUri(identityUri(identity)), identity);
    assert.deepEqual(identityFromAltName(`DNS:x, URI:${identityUri(identity)}`), identity);
  }
});

test("transport: near misses and doubled identities are nobody", () => {
  const edge = `tigerchat://${cluster}/edge`;
  const wrong = [
    `tigerchat://${cluster}/lobby/3`,
    `tigerchat://${cluster}/lobby/02`,
    `tigerchat://${cluster}/Lobby/0`,
    `tigerchat://${cluster}/lobby/0/`,
    `tigerchat://${cluster}/admin`,
    `tigerchat://${cluster.toUpperCase()}/edge`,
    `https://${cluster}/edge`,
    `${edge} `,
    "",
  ];
  for (const uri of wrong) assert.equal(identityFromUri(uri), null, uri);
  assert.equal(identityFromAltName(`URI:${edge}, URI:${edge}`), null);
  assert.equal(identityFromAltName(`URI:"${edge}, URI:x"`), null);
  assert.equal(identityFromAltName(`DNS:${edge}`), null);
  assert.equal(identityFromAltName(undefined), null);
});
