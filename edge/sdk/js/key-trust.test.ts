// Goal: replacements of replicas are followed, and whatever list an edge serves, nothing is
// verified without a signature by a key that was trusted first. Method: a log of one leaf, signed
// by generated keys in every combination; lists as an edge serves them, and forged ones.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { test } from "node:test";
import { KeyTrust } from "./key-trust.ts";
import type { TrustedKeys } from "./key-trust.ts";
import { KeysChanged, ProofError } from "./receipt.ts";

const origin = "tigerchat.dev/00/lobby/1";
const root = Buffer.alloc(32, 5).toString("base64");

/** A member: its place, its key, its time. */
interface Member {
  readonly replica: number;
  readonly secret: KeyObject;
  readonly publicKey: Uint8Array;
  readonly from: number;
  readonly to: number | null;
}

function member(replica: number, from = 0, to: number | null = null): Member {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  return { replica, secret: privateKey, publicKey: Buffer.from(x, "base64url"), from, to };
}

function idOf(name: string, type: number, { publicKey }: Member): Buffer {
  const hash = createHash("sha256").update(`${name}\n`).update(Uint8Array.of(type));
  return hash.update(publicKey).digest().subarray(0, 4);
}

const nameOf = ({ replica }: Member) => `${origin}/replica-${replica}`;

function lines(one: Member): string {
  const key = (name: string, type: number) => {
    const bytes = Buffer.concat([Uint8Array.of(type), one.publicKey]).toString("base64");
    return `${name}+${idOf(name, type, one).toString("hex")}+${bytes}\n`;
  };
  return `# ops ${one.from}-${one.to ?? ""}\n${key(origin, 1)}${key(nameOf(one), 4)}`;
}

const listOf = (...members: readonly Member[]) => members.map(lines).join("");

/** A head of the log, signed by its first signer as the log and by all as cosigners. */
function head(size: number, ...signers: readonly Member[]): string {
  const text = `${origin}\n${size}\n${root}\n`;
  const line = (name: string, ...parts: readonly Uint8Array[]) =>
    `\u2014 ${name} ${Buffer.concat(parts).toString("base64")}\n`;
  const [log] = signers;
  assert.ok(log !== undefined);
  const logLine = line(origin, idOf(origin, 1, log), sign(null, Buffer.from(text), log.secret));
  const cosigns = signers.map((one) => {
    const message = Buffer.from(`cosignature/v1\ntime 9\n${text}`);
    const time = Buffer.from([0, 0, 0, 0, 0, 0, 0, 9]);
    return line(nameOf(one), idOf(nameOf(one), 4, one), time, sign(null, message, one.secret));
  });
  return `${text}\n${logLine}${cosigns.join("")}`;
}

const [a, b, c] = [member(0), member(1), member(2)] as const;
const genesis = listOf(a, b, c);
/** Replica 2 was replaced, then replica 1. */
const cEnded = { ...c, to: 99 };
const bEnded = { ...b, to: 199 };
const [d, e] = [member(2, 100), member(1, 200)] as const;
const once = listOf(a, b, d, cEnded);
const twice = listOf(a, e, d, bEnded, cEnded);

/** Trust as of the first list, and how often it asked. */
function trustIn(first: string) {
  const stored = new Map<string, TrustedKeys>([[origin, { first, now: first }]]);
  let asked = 0;
  const trust = new KeyTrust(stored);
  const check = (note: string, served: string) => {
    return trust.checkpoint(note, async () => {
      asked += 1;
      return served;
    });
  };
  return { trust, check, stored: () => stored.get(origin), asked: () => asked };
}

const changed = (error: unknown) => error instanceof KeysChanged;
const plain = (error: unknown) => error instanceof ProofError && !(error instanceof KeysChanged);

test("sdk: keys: the first list that verifies a head is trusted", async () => {
  const stored = new Map<string, TrustedKeys>();
  const trust = new KeyTrust(stored);
  const strangers = listOf(member(0), member(1), member(2));
  await assert.rejects(
    trust.checkpoint(head(3, a, b), async () => strangers),
    ProofError,
  );
  assert.equal(stored.size, 0);
  const proven = await trust.checkpoint(head(3, a, b), async () => genesis);
  assert.deepEqual(proven.cosigners, [nameOf(a), nameOf(b)]);
  assert.deepEqual([...stored], [[origin, { first: genesis, now: genesis }]]);
  const given = await KeyTrust.in(genesis);
  await given.checkpoint(head(3, a, b), async () => assert.fail("nothing is asked"));
});

test("sdk: keys: a signature by an unknown key has the list asked for, and followed", async () => {
  const { check, stored, asked } = trustIn(genesis);
  await check(head(3, a, b), once);
  assert.equal(asked(), 0, "known keys suffice");
  assert.deepEqual((await check(head(4, d, b), once)).cosigners, [nameOf(d), nameOf(b)]);
  assert.equal(asked(), 1);
  await check(head(5, a, d), "never read");
  assert.equal(asked(), 1);
  await check(head(6, a, e), `${twice}${lines(cEnded)}`);
  await check(head(6, e, d, a), "never read");
  assert.equal(asked(), 2);
  assert.equal(stored()?.first, genesis);
  await check(head(2, b, c), twice);
  assert.equal(asked(), 2, "what former members signed together still holds");
});

test("sdk: keys: without a first key nothing is verified, until a person says so", async () => {
  const { trust, check } = trustIn(genesis);
  await assert.rejects(check(head(4, d, e), twice), changed);
  const [f] = [member(0, 300)];
  const all = listOf(f, e, d, { ...a, to: 299 }, bEnded, cEnded);
  await assert.rejects(check(head(5, f, e, d), all), changed);
  trust.forget(origin);
  await check(head(5, f, e, d), all);
  await check(head(6, f, e), "never read");
});

test("sdk: keys: forged lists are refused, whatever is signed with their keys", async () => {
  const { check, stored } = trustIn(genesis);
  await check(head(4, a, d), once);
  const known = stored();
  const x = member(1, 200);
  const forged = {
    "a member left out": listOf(a, d, cEnded, x),
    "a former member is back": listOf(a, b, c, d, x),
    "another time of a former member": listOf(a, b, d, { ...c, to: 150 }, x),
    "another time of a member": listOf({ ...a, from: 7 }, d, cEnded, bEnded, x),
    "a replacement before the last one": listOf(a, d, cEnded, { ...b, to: 49 }, member(1, 50)),
    "two at a time in one place": listOf(a, b, d, cEnded, x),
    "a hole between two": listOf(a, d, cEnded, { ...b, to: 150 }, x),
    "a fourth place": listOf(a, b, d, cEnded, member(3, 200)),
    "nobody any more": listOf(a, { ...b, to: 199 }, d, cEnded),
  };
  for (const [why, list] of Object.entries(forged)) {
    await assert.rejects(check(head(9, a, x), list), changed, why);
    assert.deepEqual(stored(), known, why);
  }
});

test("sdk: keys: an edge with keys of its own makes no head in any number of steps", async () => {
  const { check } = trustIn(genesis);
  const [x, y] = [member(2, 100), member(1, 200)];
  const withX = listOf(a, b, x, cEnded);
  const withBoth = listOf(a, { ...b, to: 199 }, x, y, cEnded);
  // It may put its names under genuine heads, which prove what they did before.
  await check(head(4, a, x), withX);
  await check(head(4, a, y), withBoth);
  await assert.rejects(check(head(5, x, y), withBoth), changed);
  await assert.rejects(check(head(5, y, x), listOf(x, y)), changed);
});

test("sdk: keys: a member that is not one any more does not vouch for those after it", async () => {
  const { check } = trustIn(genesis);
  await check(head(4, b, d), once);
  const y = member(1, 200);
  const list = listOf(a, y, d, bEnded, cEnded);
  await assert.rejects(check(head(5, c, y), list), plain);
  await check(head(5, a, y), list);
});

test("sdk: keys: hostile notes and lists are refused with a sentence", async () => {
  const { check } = trustIn(genesis);
  const note = head(4, a, d);
  for (const list of ["", "x", "a+b+c\n", "# ops 9-3\n", `${once}\u0000`, "y".repeat(300_000)]) {
    await assert.rejects(check(note, list), ProofError, list.slice(0, 20));
  }
  for (const hostile of ["", "\n\n", `${origin}\n`, note.slice(0, -9), note.replace("4", "-4")]) {
    await assert.rejects(check(hostile, once), ProofError, hostile.slice(0, 40));
  }
});
