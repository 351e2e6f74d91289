// Three replicas' cosigning over a wire that the test holds: whose signatures a checkpoint bears
// while a member is replaced.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { checksumFrom, replicaFrom } from "#replica/base/brands.ts";
import { bytesFromHex } from "#replica/base/bytes.ts";
import { privateKeyFromSeed, publicKeyHex, signEd25519 } from "#replica/crypto/ed25519.ts";
import { nativeProofCrypto } from "#replica/crypto/proof-crypto.ts";
import { shardOrigin, verifyCheckpoint } from "#replica/proof/checkpoint.ts";
import { type Cosign, Cosigning } from "./cosigning.ts";

const cosignResendMs = 1_000;
const origin = shardOrigin("c0", "shard-0", 1);

function keyOf(seed: number): ReturnType<typeof privateKeyFromSeed> {
  return privateKeyFromSeed(new Uint8Array(32).fill(seed));
}

/** Three members, each with what the others sent last; `members` may change any time. */
class Trio {
  members: readonly string[] | null = [1, 2, 3].map((seed) => publicKeyHex(keyOf(seed)));
  nowMs = 1_000;
  readonly sent: (Cosign | null)[] = [null, null, null];
  readonly all = [1, 2, 3].map((seed, index) => this.make(index, seed));

  /** A replica with that key, which has signed nothing. */
  make(index: number, seed: number): Cosigning {
    return new Cosigning({
      cosignResendMs,
      ports: {
        sign: (message) => signEd25519(keyOf(seed), message),
        tools: nativeProofCrypto,
        memory: { mark: null, save: (_mark, done) => done() },
      },
      replica: replicaFrom(index),
      origin,
      publicKeys: () => this.members,
      wallUs: () => this.nowMs * 1000,
      nowMs: () => this.nowMs,
      broadcast: (cosign) => {
        this.sent[index] = cosign;
      },
      alarm: (what) => ok(false, what),
    });
  }

  at(index: number): Cosigning {
    const one = this.all[index];
    ok(one !== undefined);
    return one;
  }

  sign(index: number, size: number): void {
    const root = bytesFromHex(checksumFrom(`${size}`.padStart(64, "0")));
    this.at(index).sign({ size, root });
  }

  /** What one sent last arrives at another. */
  carry(from: number, to: number): void {
    const cosign = this.sent[from];
    if (cosign) this.at(to).receive(replicaFrom(from), cosign);
  }

  /** Replica 2 has another key and another volume from now on. */
  replaceLast(): void {
    this.members = [1, 2, 4].map((seed) => publicKeyHex(keyOf(seed)));
    this.all[2] = this.make(2, 4);
    this.sent[2] = null;
  }

  /** Cosigners of what a replica hands out, as the published keys tell it; [] = nothing yet. */
  cosigners(index: number): readonly string[] {
    const { latest } = this.at(index);
    if (latest === null) return [];
    const keys = this.at(index).keys();
    ok(keys !== null);
    const policy = { cosignersMin: 2, keys };
    const verified = verifyCheckpoint(nativeProofCrypto, latest.text, policy);
    ok(verified.ok, verified.ok ? "" : verified.reason);
    return verified.value.cosigners.map(({ name }) => name.slice(-1)).sort();
  }
}

test("cosigning: a replaced member's early signature never goes out under the new key", () => {
  const trio = new Trio();
  trio.sign(2, 7);
  trio.carry(2, 0);
  trio.replaceLast();
  trio.sign(0, 7);
  deepStrictEqual(trio.cosigners(0), []);
  trio.sign(1, 7);
  trio.carry(1, 0);
  deepStrictEqual(trio.cosigners(0), ["0", "1"]);
});

test("cosigning: a checkpoint of a former member is handed out no more, another is made", () => {
  const trio = new Trio();
  trio.sign(0, 7);
  trio.sign(2, 7);
  trio.carry(2, 0);
  deepStrictEqual(trio.cosigners(0), ["0", "2"]);
  trio.replaceLast();
  strictEqual(trio.at(0).latest, null);
  // It asks at once, though nothing new was signed since.
  ok(trio.at(0).deadlineMs <= trio.nowMs + cosignResendMs);
  trio.sign(1, 7);
  trio.carry(1, 0);
  deepStrictEqual(trio.cosigners(0), ["0", "1"]);
});

test("cosigning: the third member's signature, there already, takes a former one's place", () => {
  const trio = new Trio();
  trio.sign(0, 7);
  trio.sign(2, 7);
  trio.carry(2, 0);
  trio.sign(1, 7);
  trio.carry(1, 0);
  trio.replaceLast();
  deepStrictEqual(trio.cosigners(0), []);
  trio.nowMs = trio.at(0).deadlineMs;
  trio.at(0).tick();
  deepStrictEqual(trio.cosigners(0), ["0", "1"]);
});

test("cosigning: the new member signs what the former one had signed, and counts", () => {
  const trio = new Trio();
  trio.sign(2, 7);
  trio.carry(2, 0);
  trio.replaceLast();
  trio.sign(2, 7);
  trio.carry(2, 0);
  trio.sign(0, 7);
  deepStrictEqual(trio.cosigners(0), ["0", "2"]);
});

test("cosigning: a replica whose place another has taken makes no checkpoint", () => {
  const trio = new Trio();
  trio.sign(2, 7);
  trio.members = [1, 2, 4].map((seed) => publicKeyHex(keyOf(seed)));
  trio.sign(0, 7);
  trio.carry(0, 2);
  strictEqual(trio.at(2).latest, null);
});

test("cosigning: while a member's key is not known nothing is handed out, afterwards it is", () => {
  const trio = new Trio();
  trio.sign(0, 7);
  trio.sign(1, 7);
  const { members } = trio;
  trio.carry(1, 0);
  trio.members = null;
  strictEqual(trio.at(0).latest, null);
  trio.members = members;
  deepStrictEqual(trio.cosigners(0), ["0", "1"]);
});
