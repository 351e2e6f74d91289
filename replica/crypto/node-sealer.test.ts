// Goal: a sealed prepare is what wire decodes and what its author signed.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { checksumZero, opFrom } from "#replica/base/brands.ts";
import { bytesFromHex } from "#replica/base/bytes.ts";
import { frameScopeFrom } from "#replica/wire/frame.ts";
import { decodePrepare, encodePrepare } from "#replica/wire/prepare-codec.ts";
import { testCluster, testPrepare, testShard } from "#test/support/test-volume.ts";
import { privateKeyFromSeed, publicKeyFrom, publicKeyHex, verifyEd25519 } from "./ed25519.ts";
import { sha256 } from "./hash.ts";
import { checkpointIdOf } from "./node-sealer.ts";

test("crypto: a sealed prepare decodes, and its signature is over its checksum", () => {
  const scope = frameScopeFrom({ cluster: testCluster, shard: testShard, hash: sha256 });
  const prepare = testPrepare(5, { bytes: 3000 });
  const decoded = decodePrepare(scope, encodePrepare(scope, prepare));
  ok(decoded.ok);
  deepStrictEqual(decoded.value, prepare);
  strictEqual(prepare.header.bodyChecksum, sha256(prepare.body));
  const hex = publicKeyHex(privateKeyFromSeed(new Uint8Array(32).fill(1)));
  const key = publicKeyFrom(hex);
  const { checksum, signature } = prepare.header;
  ok(key !== null && verifyEd25519(key, bytesFromHex(checksum), signature));
});

test("crypto: a checkpoint's id depends on each of its four parts", () => {
  const other = sha256(new Uint8Array(1));
  const ids = [
    checkpointIdOf(checksumZero, checksumZero, opFrom(1), checksumZero),
    checkpointIdOf(other, checksumZero, opFrom(1), checksumZero),
    checkpointIdOf(checksumZero, other, opFrom(1), checksumZero),
    checkpointIdOf(checksumZero, checksumZero, opFrom(2), checksumZero),
    checkpointIdOf(checksumZero, checksumZero, opFrom(1), other),
  ];
  strictEqual(new Set(ids).size, ids.length);
});
