import { bytesFromHex } from "#replica/base/bytes.ts";
import { seqFrom, timestampFrom } from "#replica/base/brands.ts";
import { utf8From } from "#replica/base/text.ts";
import { privateKeyFromSeed, publicKeyHex, signEd25519 } from "#replica/crypto/ed25519.ts";
import { sha256Bytes } from "#replica/crypto/hash.ts";
import { proofCrypto } from "#replica/crypto/proof-crypto.ts";
import {
  checkpointText,
  cosignatureBytes,
  cosignedMessage,
  cosignerName,
  shardOrigin,
} from "#replica/proof/checkpoint.ts";
import { formatLogProof } from "#replica/proof/log-proof.ts";
import type { SubtreeHash } from "#replica/proof/merkle.ts";
import { inclusionProof, leafHash, nodeHash, treeRoot } from "#replica/proof/merkle.ts";
import type { VerifierKey } from "#replica/proof/note.ts";
import { formatNote, signatureTypes, verifierKeyOf } from "#replica/proof/note.ts";
import type { Receipt } from "#replica/proof/receipt.ts";
import { entryLeaf, formatReceipt } from "#replica/proof/receipt.ts";
import { formatExportEntry, formatExportHeader } from "#replica/proof/room-export.ts";
import { blindedName, blindOf, encodeRecord } from "#replica/proof/room-record.ts";
import { encodeEntry } from "#replica/wire/entry.ts";

/** Keys of three replicas, made from fixed seeds. */
export const sampleKeys = [1, 2, 3].map((seed) =>
  privateKeyFromSeed(new Uint8Array(32).fill(seed)),
);
/** Origin of the sample log. */
export const sampleOrigin = shardOrigin("00112233445566778899aabbccddeeff", "lobby", 1);
/** The room of the samples. */
export const sampleRoom = { tenant: "acme", room: "lobby" } as const;

/** What a verifier is told: each replica as the log, and as a cosigner. */
export function verifierKeys(origin: string = sampleOrigin): readonly VerifierKey[] {
  return sampleKeys.flatMap((key, replica) => {
    const publicKey = bytesFromHex(publicKeyHex(key));
    const { ed25519, cosignature } = signatureTypes;
    return [
      verifierKeyOf(sha256Bytes, origin, ed25519, publicKey),
      verifierKeyOf(sha256Bytes, cosignerName(origin, replica), cosignature, publicKey),
    ];
  });
}

/** A checkpoint signed by one replica as the log and cosigned by those named. */
export function signedCheckpoint(
  size: number,
  root: Uint8Array,
  cosigners: readonly number[] = [0, 1],
  timeS = 1_700_000_000,
): string {
  const text = checkpointText({ origin: sampleOrigin, size, root });
  const keys = verifierKeys();
  const signatures = [];
  const [first] = sampleKeys;
  const [log] = keys;
  if (first === undefined || log === undefined) throw new Error("no keys");
  const { name, keyId } = log;
  signatures.push({ name, keyId, bytes: signEd25519(first, utf8From(text)) });
  for (const replica of cosigners) {
    const key = sampleKeys[replica];
    const cosigner = keys[2 * replica + 1];
    if (key === undefined || cosigner === undefined) throw new Error("no such replica");
    const bytes = cosignatureBytes(timeS, signEd25519(key, cosignedMessage(timeS, text)));
    signatures.push({ name: cosigner.name, keyId: cosigner.keyId, bytes });
  }
  return formatNote({ text, signatures });
}

/** Some entries of the sample room, encoded. */
export function sampleEntries(count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    encodeEntry({
      type: "message",
      redacted: false,
      epoch: 1,
      seq: seqFrom(i + 1),
      timeUs: timestampFrom(1_700_000_000_000_000 + i),
      sender: i % 2 === 0 ? "ann" : "bob",
      key: new Uint8Array(16).fill(i + 1),
      parent: seqFrom(0),
      salt: new Uint8Array(16).fill(255 - i),
      body: utf8From(`message ${i + 1}`),
    }),
  );
}

/** Subtrees of a list of leaf hashes, by recursion. */
export function subtreesOf(leaves: readonly Uint8Array[]): SubtreeHash {
  const known = new Map<string, Uint8Array>();
  const subtree = (first: number, count: number): Uint8Array => {
    if (count > 1) {
      const half = count / 2;
      const id = `${first} ${count}`;
      const hash =
        known.get(id) ?? nodeHash(sha256Bytes, subtree(first, half), subtree(first + half, half));
      known.set(id, hash);
      return hash;
    }
    const leaf = leaves[first];
    if (leaf === undefined) throw new Error(`no leaf ${first}`);
    return leaf;
  };
  return subtree;
}

/** A small shard: one room with entries; its record is the last but one of the log. */
export function sampleShard(entriesCount: number, logSize = 7) {
  const entries = sampleEntries(entriesCount);
  const leaves = entries.map((entry) => entryLeaf(proofCrypto, sampleRoom, entry));
  const room = subtreesOf(leaves);
  const root = treeRoot(sha256Bytes, room, entriesCount);
  const blind = blindOf(sha256Bytes, new Uint8Array(16).fill(9), sampleRoom);
  const record = encodeRecord(blindedName(sha256Bytes, blind, sampleRoom), entriesCount, root);
  const records = Array.from({ length: logSize }, (_, i) =>
    leafHash(sha256Bytes, i === logSize - 2 ? record : Uint8Array.of(i)),
  );
  const log = subtreesOf(records);
  const logRoot = treeRoot(sha256Bytes, log, logSize);
  const logIndex = logSize - 2;
  const logProof = inclusionProof(sha256Bytes, log, logIndex, logSize);
  const checkpoint = signedCheckpoint(logSize, logRoot);
  const receiptOf = (seq: number): Receipt => ({
    name: sampleRoom,
    blind,
    entry: entries[seq - 1] ?? new Uint8Array(0),
    roomSize: entriesCount,
    roomProof: inclusionProof(sha256Bytes, room, seq - 1, entriesCount),
    logIndex,
    logProof,
    checkpoint,
  });
  const proof = formatLogProof({ extra: null, index: logIndex, hashes: logProof, checkpoint });
  const header = { name: sampleRoom, blind, first: 1, size: entriesCount, proof };
  const exported = [
    formatExportHeader({ ...header, frontier: new Uint8Array(0) }),
    ...entries.map((entry, i) => {
      return formatExportEntry(i + 1, entry, leaves[i] ?? new Uint8Array(32));
    }),
  ];
  return {
    entries,
    log,
    logRoot,
    logSize,
    checkpoint,
    exported,
    receiptOf,
    receipt: (seq: number) => formatReceipt(receiptOf(seq)),
  };
}
