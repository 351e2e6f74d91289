// Goal: a change of a volume's key goes on where a crash left it, whichever step that was.
import {
  deepStrictEqual,
  match,
  notStrictEqual,
  ok,
  strictEqual,
  throws,
} from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { replicaFrom } from "#replica/base/brands.ts";
import { selfSignedPem, volumeKeyFromPem } from "#replica/crypto/volume-key.ts";
import { Volume } from "./volume.ts";
import { VolumeKeys } from "./volume-keys.ts";

const uri = "tigerchat://00112233445566778899aabbccddeeff/lobby/2";
const directories: string[] = [];
after(() => {
  for (const path of directories) rmSync(path, { recursive: true });
});

interface Stage {
  readonly path: string;
  readonly file: (name: string) => string;
  /** What a process finds after a crash. */
  readonly keys: () => VolumeKeys;
}

/** A formatted volume with a certified key. */
function stage(): Stage {
  const path = mkdtempSync(join(tmpdir(), "tigerchat-keys-"));
  directories.push(path);
  const keys = new VolumeKeys(new Volume(path));
  const key = keys.make();
  ok(keys.install(selfSignedPem(key, uri, Date.now())));
  writeFileSync(join(path, "superblock"), "");
  const file = (name: string) => join(path, "keys", name);
  return { path, file, keys: () => new VolumeKeys(new Volume(path)) };
}

test("server: the next key is of the same volume, and waits for the log's word", () => {
  const { keys } = stage();
  const first = keys().active?.key;
  ok(first !== undefined);
  const next = keys().makeNext(first);
  strictEqual(next.incarnation, first.incarnation);
  notStrictEqual(next.publicKey, first.publicKey);
  // Crash: made, and nobody heard of it.
  const again = keys();
  strictEqual(again.makeNext(first).publicKey, next.publicKey, "it is not made twice");
  strictEqual(again.active?.key.publicKey, first.publicKey);
  strictEqual(again.ownKeys("").length, 1, "uncertified it opens no connection");
  ok(again.install(selfSignedPem(next, uri, Date.now())));
  // Crash: certified, not committed.
  const certified = keys();
  deepStrictEqual(
    certified.ownKeys("").map(({ publicKey }) => publicKey),
    [first.publicKey, next.publicKey],
  );
  ok(certified.follow(next.publicKey), "the log's word");
  ok(certified.switched && !certified.follow(next.publicKey));
  deepStrictEqual(
    certified.ownKeys("").map(({ publicKey }) => publicKey),
    [next.publicKey, first.publicKey],
  );
  // Crash: committed, the superblock says so at the next start, or does not yet.
  const identity = { incarnation: first.incarnation, replica: replicaFrom(2) };
  for (const publicKey of [next.publicKey, first.publicKey]) {
    const member = { ...identity, publicKey };
    const superblock = { identity, members: [member, member, member] };
    const opened = keys();
    strictEqual(opened.open(superblock as unknown as Parameters<VolumeKeys["open"]>[0]), null);
    strictEqual(opened.active?.key.publicKey, publicKey);
  }
});

test("server: the former key is destroyed once, and a cut in the middle is mended", () => {
  const { keys, file } = stage();
  const begun = keys();
  const first = begun.active?.key;
  ok(first !== undefined);
  const next = begun.makeNext(first);
  const pem = selfSignedPem(next, uri, Date.now());
  ok(begun.install(pem));
  begun.settle();
  strictEqual(keys().active?.key.publicKey, first.publicKey, "not before the log's word");
  begun.follow(next.publicKey);
  begun.settle();
  strictEqual(begun.next, null);
  strictEqual(begun.held(first.publicKey), null);
  for (const name of ["next.key", "next.crt"]) ok(!existsSync(file(name)));
  const after = keys();
  deepStrictEqual(
    [after.active?.key.publicKey, after.active?.chain, after.active?.key.incarnation],
    [next.publicKey, pem, first.incarnation],
  );
  // Cut off between the moves of key and certificate.
  writeFileSync(file("next.crt"), pem);
  writeFileSync(file("replica.crt"), selfSignedPem(first, uri, Date.now()));
  strictEqual(keys().active?.chain, pem);
  ok(!existsSync(file("next.crt")));
  strictEqual(readFileSync(file("replica.crt"), "utf8"), pem);
});

test("server: a superblock of another key or volume, and a damaged next key, are refused", () => {
  const { keys, file } = stage();
  const first = keys().active?.key;
  ok(first !== undefined);
  const identity = { incarnation: first.incarnation, replica: replicaFrom(0) };
  const other = { ...identity, publicKey: "0".repeat(64) };
  const superblock = { identity, members: [other] };
  const why = keys().open(superblock as unknown as Parameters<VolumeKeys["open"]>[0]);
  match(why ?? "", /this is the wrong volume/);
  writeFileSync(file("next.key"), "-----BEGIN");
  throws(() => keys(), /next\.key is damaged/);
});

test("server: a key's file says its volume's incarnation, and stays a PEM for others", () => {
  const { keys, file } = stage();
  const first = keys().active?.key;
  ok(first !== undefined);
  keys().makeNext(first);
  const text = readFileSync(file("next.key"), "utf8");
  match(text, /^incarnation [0-9a-f]{32}\n-----BEGIN PRIVATE KEY-----\n/);
  strictEqual(volumeKeyFromPem(text)?.incarnation, first.incarnation);
});
