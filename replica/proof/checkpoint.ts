import { assert } from "#replica/base/assert.ts";
import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { utf8From } from "#replica/base/text.ts";
import { base64From, bytesFromBase64 } from "./base64.ts";
import { treeHashBytes } from "./merkle.ts";
import type { ProofCrypto, SignedNote, VerifierKey } from "./note.ts";
import { isKeyName, knownSignatures, parseNote, signatureTypes } from "./note.ts";

/** Head of a log at a size, c2sp.org/tlog-checkpoint. */
export interface Checkpoint {
  /** Names the log: ours names cluster, shard and epoch. */
  readonly origin: string;
  /** Leaves of the tree. */
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** A checkpoint and when each of those who cosigned it did so. */
export interface VerifiedCheckpoint extends Checkpoint {
  /** Names of the cosigners whose signatures hold, with seconds since 1970. */
  readonly cosigners: readonly { readonly name: string; readonly timeS: number }[];
}

/** What is expected of a checkpoint's signatures. */
export interface CheckpointPolicy {
  /** Keys of the log and of its cosigners. */
  readonly keys: readonly VerifierKey[];
  /** Different cosigners at least; 2 of the 3 replicas of a shard. */
  readonly cosignersMin: number;
}

/** Cosigners that a checkpoint of a shard needs. */
export const cosignersMinDefault = 2;

/** Why a checkpoint is refused. */
export type CheckpointFault =
  | "note_malformed"
  | "checkpoint_malformed"
  | "signature_wrong"
  | "log_unsigned"
  | "cosigners_missing";

/** Origin of a shard's log. */
export function shardOrigin(cluster: string, shard: string, epoch: number): string {
  const origin = `tigerchat.dev/${cluster}/${shard}/${epoch}`;
  assert(isKeyName(origin), "PRF-05: an origin without spaces and plus");
  return origin;
}

/** Name under which a replica cosigns. */
export function cosignerName(origin: string, replica: number): string {
  return `${origin}/replica-${replica}`;
}

/** The text that is signed. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  assert(root.length === treeHashBytes && Number.isSafeInteger(size), "PRF-05: a checkpoint");
  return `${origin}\n${size}\n${base64From(root)}\n`;
}

/** Message of a cosignature/v1 over a checkpoint's text. */
export function cosignedMessage(timeS: number, text: string): Uint8Array {
  assert(Number.isSafeInteger(timeS) && timeS >= 0, "PRF-05: time of a cosignature");
  return utf8From(`cosignature/v1\ntime ${timeS}\n${text}`);
}

/** Bytes of a cosignature as they stand in a note: time u64 big-endian, signature. */
export function cosignatureBytes(timeS: number, signature: Uint8Array): Uint8Array {
  assert(signature.length === 64, "PRF-05: an Ed25519 signature");
  const bytes = new Uint8Array(72);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(timeS / 2 ** 32));
  view.setUint32(4, timeS % 2 ** 32);
  bytes.set(signature, 8);
  return bytes;
}

/** A decimal without leading zeros within the safe integers, or null. */
export function parseCount(text: string): number | null {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) return null;
  const count = Number(text);
  return Number.isSafeInteger(count) ? count : null;
}

/** Reads a checkpoint's text; extension lines are refused, ours have none. */
export function parseCheckpoint(text: string): Checkpoint | null {
  const lines = text.split("\n");
  const [origin, sizeText, rootText, end] = lines;
  if (lines.length !== 4 || end !== "" || origin === undefined || !isKeyName(origin)) return null;
  const size = parseCount(sizeText ?? "");
  const root = bytesFromBase64(rootText ?? "");
  if (size === null || root === null || root.length !== treeHashBytes) return null;
  return { origin, size, root };
}

/** Reads and checks a signed checkpoint; never throws. */
export function verifyCheckpoint(
  tools: ProofCrypto,
  text: string,
  policy: CheckpointPolicy,
): Result<VerifiedCheckpoint, CheckpointFault> {
  const note = parseNote(text);
  if (!note.ok) return fail("note_malformed");
  const checkpoint = parseCheckpoint(note.value.text);
  if (checkpoint === null) return fail("checkpoint_malformed");
  return verifySignatures(tools, note.value, checkpoint, policy);
}

function verifySignatures(
  tools: ProofCrypto,
  note: SignedNote,
  checkpoint: Checkpoint,
  policy: CheckpointPolicy,
): Result<VerifiedCheckpoint, CheckpointFault> {
  const held: Held[] = [];
  for (const { key, signature } of knownSignatures(note, policy.keys)) {
    const { bytes } = signature;
    if (key.type === signatureTypes.ed25519) {
      if (!tools.verify(key.publicKey, utf8From(note.text), bytes)) return fail("signature_wrong");
      // A key of another log proves nothing about this one.
      if (key.name === checkpoint.origin) held.push({ key, timeS: null });
      continue;
    }
    if (bytes.length !== 72) return fail("signature_wrong");
    const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
    const timeS = view.getUint32(0) * 2 ** 32 + view.getUint32(4);
    if (!Number.isSafeInteger(timeS)) return fail("signature_wrong");
    const message = cosignedMessage(timeS, note.text);
    if (!tools.verify(key.publicKey, message, bytes.subarray(8))) return fail("signature_wrong");
    if (key.name.startsWith(`${checkpoint.origin}/`)) held.push({ key, timeS });
  }
  if (!held.some(({ timeS }) => timeS === null)) return fail("log_unsigned");
  const cosigners = signersTogether(held, policy.cosignersMin);
  if (cosigners === null) return fail("cosigners_missing");
  return ok({ ...checkpoint, cosigners });
}

/** A signature that holds; a cosigner's with its time, null = the log's. */
interface Held {
  readonly key: VerifierKey;
  readonly timeS: number | null;
}

/**
 * Enough cosigners who were members at one time, and the log's key with them: keys of members who
 * followed each other do not add up. Null when there never were.
 */
function signersTogether(
  held: readonly Held[],
  cosignersMin: number,
): VerifiedCheckpoint["cosigners"] | null {
  for (const op of new Set(held.map(({ key }) => key.ops?.from ?? 0))) {
    const serving = held.filter(({ key: { ops } }) => {
      return ops === undefined || (ops.from <= op && op <= ops.to);
    });
    const cosigners = new Map<string, number>();
    const publicKeys = new Set<string>();
    for (const { key, timeS } of serving) {
      const publicKey = base64From(key.publicKey);
      // One key under two names is one cosigner, and so is one name with two keys.
      if (timeS === null || publicKeys.has(publicKey)) continue;
      publicKeys.add(publicKey);
      cosigners.set(key.name, timeS);
    }
    const logged = serving.some(({ timeS }) => timeS === null);
    if (!logged || cosigners.size < cosignersMin) continue;
    return [...cosigners].map(([name, timeS]) => ({ name, timeS }));
  }
  return null;
}
