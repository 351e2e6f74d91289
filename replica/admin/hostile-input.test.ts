// Goal: no body, answer or file makes a reader of the admin port throw; each refusal is a sentence,
// and what was accepted is accepted again unchanged.
import { deepStrictEqual, match } from "node:assert/strict";
import { test } from "node:test";
import { hostileTexts, hostileValues } from "#test/support/hostile.ts";
import {
  checkAuditRequest,
  checkCertificateRequest,
  checkDoneAnswer,
  checkFormerMembers,
  checkGenesisRequest,
  checkIdentityAnswer,
  checkIdentityRequest,
  checkReplacement,
  checkReplaceRequest,
  checkTransferRequest,
  checkUpgradeRequest,
} from "./admin-calls.ts";
import { adminProblem, checkAdminProblem } from "./admin-error.ts";
import { type Checked, checkedFromText } from "./checked.ts";
import { checkReplicaConfig } from "./replica-config.ts";

const [hex16, hex32] = ["0f".repeat(16), "a1".repeat(32)];
const members = [0, 1, 2].map((replica) => {
  const publicKey = `${replica}${hex32.slice(1)}`;
  return { replica, incarnation: hex16, publicKey };
});
const pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const genesis = { formationId: hex32, members, slots: { first: 0, count: 4096, epoch: 1 } };
const since = members.map((member) => ({ ...member, replaceOp: 0 }));
const line = {
  key: `${"0".repeat(12)}7${"0".repeat(3)}8${"0".repeat(15)}`,
  kind: "evict",
  atUs: 1,
};
const peer = { host: "127.0.0.1", peerPort: 1, clientPort: 2, adminPort: 3, metricsPort: 4 };

const readers: readonly (readonly [(value: unknown) => Checked<unknown>, object])[] = [
  [checkIdentityRequest, { nonce: hex32 }],
  [checkIdentityAnswer, { ...members[0], csr: pem, proof: hex32 }],
  [checkCertificateRequest, { certificate: pem }],
  [checkGenesisRequest, genesis],
  [checkReplaceRequest, { ...members[1], view: 3 }],
  [checkReplacement, { genesis, members: since, former: since, learnOp: 9, view: 1 }],
  [checkFormerMembers, { members: since }],
  [checkUpgradeRequest, { version: 2 }],
  [checkAuditRequest, { lines: [{ ...line, facts: { why: "asked" } }] }],
  [checkTransferRequest, { view: 1, target: 2 }],
  [checkDoneAnswer, { done: true }],
  [checkAdminProblem, adminProblem("not_ready", "Ask again.")],
  [checkReplicaConfig, { cluster: hex16, shard: "lobby", peers: [peer, peer, peer] }],
];

/** What a reader gave, as it was given to it: one takes the list out of its object. */
function again(value: unknown): unknown {
  return Array.isArray(value) ? { members: value } : value;
}

test("admin: every reader takes any JSON, and says a sentence or gives a value back", () => {
  for (const [index, [read, valid]] of readers.entries()) {
    for (const value of hostileValues(valid, index + 1, 400)) {
      const checked = read(value);
      if (checked.ok) deepStrictEqual(read(again(checked.value)), checked);
      else match(checked.sentence, /^[^\u0000]{3,400}\.$/s);
    }
    for (const text of hostileTexts(JSON.stringify(valid), index + 1, 200)) {
      const checked = checkedFromText(text, read);
      if (!checked.ok) match(checked.sentence, /\.$/);
    }
  }
});
