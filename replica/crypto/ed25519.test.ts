// Goal: native signatures and hashes agree with a second implementation and with published vectors.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { getPublicKeyAsync, signAsync, verifyAsync } from "@noble/ed25519";
import { bytesFromHex, hexFrom } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import {
  privateKeyFromSeed,
  publicKeyFrom,
  publicKeyHex,
  signEd25519,
  verifyEd25519,
} from "./ed25519.ts";
import { crc32, hmacSha256, random, secretKeyFrom, sha256, sha256Bytes } from "./hash.ts";

test("crypto: native Ed25519 and @noble/ed25519 make the same keys and signatures", async () => {
  for (let round = 0; round < 8; round += 1) {
    const seed = random(32);
    const message = random(round * 9);
    const key = privateKeyFromSeed(seed);
    strictEqual(publicKeyHex(key), hexFrom(await getPublicKeyAsync(seed)));
    const signature = signEd25519(key, message);
    deepStrictEqual(signature, new Uint8Array(await signAsync(message, seed)));
    ok(await verifyAsync(signature, message, bytesFromHex(publicKeyHex(key))));
  }
});

test("crypto: the signature of RFC 8032 section 7.1, test 2, comes out and verifies", () => {
  const seed = bytesFromHex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const publicHex = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
  const key = privateKeyFromSeed(seed);
  strictEqual(publicKeyHex(key), publicHex);
  const signature = signEd25519(key, Uint8Array.of(0x72));
  ok(
    hexFrom(signature).startsWith(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
    ),
  );
});

test("crypto: a changed message, signature or key does not verify, and nothing throws", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const message = random(32);
  const signature = signEd25519(privateKey, message);
  ok(verifyEd25519(publicKey, message, signature));
  for (let at = 0; at < 64; at += 1) {
    const bad = signature.slice();
    bad[at] = (bad[at] ?? 0) ^ 1;
    ok(!verifyEd25519(publicKey, message, bad));
  }
  ok(!verifyEd25519(publicKey, message.subarray(1), signature));
  ok(!verifyEd25519(publicKey, message, signature.subarray(1)));
  const other = publicKeyFrom(publicKeyHex(generateKeyPairSync("ed25519").publicKey));
  ok(other !== null && !verifyEd25519(other, message, signature));
  strictEqual(publicKeyFrom("AB"), null);
  strictEqual(publicKeyFrom("g".repeat(64)), null);
});

test("crypto: hashes give their published vectors", () => {
  const abc = utf8From("abc");
  const digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  strictEqual(sha256(abc), digest);
  strictEqual(hexFrom(sha256Bytes(abc)), digest);
  strictEqual(crc32(utf8From("123456789")), 0xcbf43926);
  const mac = hmacSha256(secretKeyFrom(utf8From("Jefe")), utf8From("what do ya want for nothing?"));
  strictEqual(hexFrom(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
});
