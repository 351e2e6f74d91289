// The bodies of the admin calls: round trips are exact, everything else is a sentence.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import {
  checkGenesisRequest,
  checkIdentityRequest,
  checkReplacement,
  checkReplaceRequest,
  checkTransferRequest,
} from "./admin-calls.ts";
import {
  adminErrors,
  adminProblem,
  checkAdminProblem,
  type AdminErrorCode,
} from "./admin-error.ts";
import { checkAdminStatus, type AdminStatus } from "./admin-status.ts";

const status: AdminStatus = {
  replica: 1,
  shard: "lobby",
  cluster: "0f".repeat(16),
  state: "unformatted",
  incarnation: null,
  publicKey: null,
  formationId: null,
  view: null,
  primary: null,
  head: null,
  commitMin: null,
  commitMax: null,
  checkpointOp: null,
  voting: false,
  caughtUp: false,
  slots: { owned: 0, epoch: 0 },
  version: "0.1.0",
  machine: { version: null, min: 1, max: 2 },
  trustFingerprint: null,
  peers: [{ replica: 0, connected: false, lagOps: null }],
  alarms: ["view 7 does not start: replica 2 is not heard"],
  message: "",
};

function member(replica: number) {
  return { replica, incarnation: `${replica}`.repeat(32), publicKey: `${replica}`.repeat(64) };
}

function genesis(change: object) {
  const slots = { first: 0, count: 4096, epoch: 1 };
  const members = [member(0), member(1), member(2)];
  const checked = checkGenesisRequest({ formationId: "a".repeat(64), members, slots, ...change });
  return checked.ok ? "accepted" : checked.sentence;
}

test("admin: a status survives JSON", () => {
  const checked = checkAdminStatus(JSON.parse(JSON.stringify(status)));
  deepStrictEqual(checked, { ok: true, value: status });
});

test("admin: a status with an unknown member is refused", () => {
  const checked = checkAdminStatus({ ...status, colour: 1 });
  strictEqual(checked.ok ? "accepted" : checked.sentence, "colour is not a known member.");
});

test("admin: genesis needs three members in order, three keys and slots in the space", () => {
  strictEqual(genesis({}), "accepted");
  strictEqual(genesis({ members: [member(0), member(1)] }), "members must be a list of 3.");
  strictEqual(
    genesis({ members: [member(1), member(0), member(2)] }),
    "members[0].replica must be a whole number from 0 to 0.",
  );
  const twin = { ...member(2), publicKey: member(0).publicKey };
  strictEqual(
    genesis({ members: [member(0), member(1), twin] }),
    "members must have three different keys.",
  );
  strictEqual(
    genesis({ slots: { first: 4000, count: 200, epoch: 1 } }),
    "slots.count reaches over slot 4096.",
  );
});

test("admin: short nonces and unknown targets are refused", () => {
  const short = checkIdentityRequest({ nonce: "00" });
  strictEqual(short.ok ? "accepted" : short.sentence, "nonce must be 64 hex digits.");
  const none = checkTransferRequest({ view: 3 });
  strictEqual(none.ok ? "accepted" : none.sentence, "target must be a whole number from 0 to 2.");
});

test("admin: every code makes a problem that its reader accepts", () => {
  for (const code of Object.keys(adminErrors) as AdminErrorCode[]) {
    const problem = adminProblem(code, "Do this.");
    deepStrictEqual(checkAdminProblem(problem), { ok: true, value: problem });
  }
});

test("admin: a replacement carries genesis, members and the op to learn, and nothing else", () => {
  const members = [0, 1, 2].map((replica) => ({ ...member(replica), replaceOp: replica * 7 }));
  const slots = { first: 0, count: 4096, epoch: 1 };
  const voters = [member(0), member(1), member(2)];
  const first = { formationId: "a".repeat(64), members: voters, slots };
  const whole = { genesis: first, members, learnOp: 15, view: 3 };
  deepStrictEqual(checkReplacement(whole), { ok: true, value: whole });
  strictEqual(checkReplacement({ ...whole, learnOp: 0 }).ok, false);
  const extra = checkReplacement({ ...whole, genesis: { ...first, more: 1 } });
  ok(!extra.ok && extra.sentence.includes("genesis"), "the place of a fault is named");
  const asked = { view: 3, ...member(1) };
  deepStrictEqual(checkReplaceRequest(asked), { ok: true, value: asked });
});
