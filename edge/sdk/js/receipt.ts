// Receipts checked in the browser: an implementation of its own, held to those of the server by
// shared vectors. Formats: c2sp.org/tlog-proof, tlog-checkpoint, tlog-cosignature, signed-note.
import { verifyAsync } from "@noble/ed25519";
import { keyIn, untilNow } from "./key-list.ts";
import type { VerifierKey } from "./key-list.ts";

/**
 * What is trusted: the text of a list of verifier keys, one a line. Or a first list and one that
 * follows from it: keys that came later count beside a signature by one of the first only.
 */
export type Trusted = string | { readonly first: string; readonly now: string };

/** What a receipt proves. */
export interface ProvenEntry {
  readonly tenant: string;
  readonly room: string;
  readonly seq: number;
  readonly timeUs: number;
  readonly from: string;
  /** Idempotency key in lower-case hex with dashes. */
  readonly key: string;
  /** Null when it was redacted, or when it is not text. */
  readonly body: string | null;
  readonly redacted: boolean;
  /** Entries of the room's tree. */
  readonly roomSize: number;
  readonly checkpoint: ProvenCheckpoint;
}

/** Head of a shard's log, signed by it and cosigned by two of its replicas. */
export interface ProvenCheckpoint {
  readonly origin: string;
  readonly size: number;
  /** Base64. */
  readonly root: string;
  readonly cosigners: readonly string[];
}

/** A receipt or checkpoint that does not hold; the message says why. */
export class ProofError extends Error {
  override readonly name = "ProofError";
}

type Bytes = Uint8Array<ArrayBuffer>;

const cosignersMin = 2;
/** Characters of a list of keys at most, as the edge's replicas have it. */
const keysCharsMax = 256 * 1024;
const firstLine = "c2sp.org/tlog-proof@v1";
const dash = "\u2014 ";
/** Signatures of a checkpoint at most. */
const signaturesMax = 64;
const encoder = new TextEncoder();

/**
 * Signed by keys that do not follow from those that were trusted first: perhaps all replicas were
 * replaced meanwhile, perhaps somebody has put others in their place. A person must decide.
 */
export class KeysChanged extends ProofError {}

/** Throws {@link ProofError} unless it is right. */
export function demand(right: boolean, message: string): asserts right {
  if (!right) throw new ProofError(message);
}

async function sha256(...parts: readonly Uint8Array[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", joined(parts)));
}

function joined(parts: readonly Uint8Array[]): Bytes {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function base64From(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** Canonical base64 only. */
function bytesFrom(text: unknown): Bytes {
  demand(typeof text === "string", "The receipt is malformed.");
  let binary = "";
  try {
    binary = atob(text);
  } catch {
    throw new ProofError("The receipt is malformed: base64.");
  }
  const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
  demand(btoa(binary) === text, "The receipt is malformed: base64.");
  return bytes;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Bytes of canonical base64; throws {@link ProofError}. */
export const base64Bytes: (text: unknown) => Uint8Array = bytesFrom;

/** Hashes of Merkle trees, RFC 9162 section 2.1.1. */
export const rootOver = {
  equal,
  node: (left: Uint8Array, right: Uint8Array): Promise<Uint8Array> =>
    sha256(Uint8Array.of(1), left, right),
} as const;

function countFrom(text: string): number {
  demand(/^(0|[1-9][0-9]{0,15})$/.test(text), "The receipt is malformed: a number.");
  const count = Number(text);
  demand(Number.isSafeInteger(count), "The receipt is malformed: a number.");
  return count;
}

/**
 * Reads verifier keys, one a line, as the edge gives them at /keys: `# ops FROM-TO` says during
 * which ops those that follow were members'. Throws {@link ProofError}.
 */
export async function parseKeys(text: string): Promise<readonly VerifierKey[]> {
  demand(text.length <= keysCharsMax, "The list of keys is too long.");
  const keys: VerifierKey[] = [];
  let [from, to] = [0, untilNow];
  for (const line of text.split("\n").filter((one) => one !== "")) {
    if (line.startsWith("#")) {
      const [, first, last] = /^# ops ([0-9]+)-([0-9]*)$/.exec(line) ?? [];
      if (first === undefined || last === undefined) continue;
      [from, to] = [countFrom(first), last === "" ? untilNow : countFrom(last)];
      continue;
    }
    const [, name = "", id = "", encoded = ""] =
      /^([^+\s]+)\+([0-9a-f]{8})\+(.+)$/.exec(line) ?? [];
    const bytes = bytesFrom(encoded);
    const hash = await sha256(encoder.encode(`${name}\n`), bytes);
    const right = bytes.length === 33 && hexFrom(hash.subarray(0, 4)) === id;
    demand(right, "A verifier key is malformed.");
    keys.push({ name, id, type: bytes[0] ?? 0, publicKey: bytes.slice(1), line, from, to });
  }
  return keys;
}

function hexFrom(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Names and ids of the keys of a note's signatures. Throws {@link ProofError}. */
export function signersOf(note: string): readonly Pick<VerifierKey, "name" | "id">[] {
  return signaturesOf(note).map(({ name, bytes }) => ({ name, id: hexFrom(bytes.subarray(0, 4)) }));
}

function signaturesOf(note: string): readonly { readonly name: string; readonly bytes: Bytes }[] {
  const split = note.lastIndexOf("\n\n");
  demand(split >= 0 && note.endsWith("\n"), "The checkpoint is not a signed note.");
  const lines = note.slice(split + 2, -1).split("\n");
  demand(lines.length <= signaturesMax, "The checkpoint has too many signatures.");
  return lines.map((line) => {
    const [name = "", encoded, extra] = line.startsWith(dash) ? line.slice(2).split(" ") : [];
    demand(encoded !== undefined && extra === undefined, "A signature line is malformed.");
    return { name, bytes: bytesFrom(encoded) };
  });
}

/**
 * Checks a signed checkpoint: by a key of its log and two cosigners of it. `keys`: what is trusted.
 * Throws {@link ProofError}.
 */
export async function verifyCheckpoint(note: string, keys: Trusted): Promise<ProvenCheckpoint> {
  const signatures = signaturesOf(note);
  const text = note.slice(0, note.lastIndexOf("\n\n") + 1);
  const [origin = "", size = "", root = "", end, more] = text.split("\n");
  const right = origin !== "" && end === "" && more === undefined && bytesFrom(root).length === 32;
  demand(right, "The note is not a checkpoint.");
  const known = await parseKeys(typeof keys === "string" ? keys : keys.now);
  const first = typeof keys === "string" ? known : await parseKeys(keys.first);
  const held: VerifierKey[] = [];
  for (const { name, bytes } of signatures) {
    const key = keyIn(known, { name, id: hexFrom(bytes.subarray(0, 4)) });
    if (key === undefined) continue;
    demand(await signatureHolds(key, bytes.subarray(4), text), "A signature is wrong.");
    if (key.type === 1 ? name === origin : name.startsWith(`${origin}/`)) held.push(key);
  }
  const signed = held.some(({ type }) => type === 1);
  demand(signed, "The checkpoint is not signed by a key of this log.");
  return { origin, size: countFrom(size), root, cosigners: signersTogether(held, first) };
}

/**
 * Names of two cosigners who were members at one time, and a key of the log with them: keys of
 * members who followed each other do not add up. One of the keys is among the first. Throws
 * {@link ProofError}.
 */
function signersTogether(
  held: readonly VerifierKey[],
  first: readonly VerifierKey[],
): readonly string[] {
  let strangers = false;
  for (const { from: op } of held) {
    const serving = held.filter(({ from, to }) => from <= op && op <= to);
    const cosigners = serving.filter(({ type }) => type === 4);
    // One key under two names is one cosigner, and so is one name with two keys.
    const byKey = new Map(cosigners.map(({ publicKey, name }) => [base64From(publicKey), name]));
    const names = [...new Set(byKey.values())];
    if (!serving.some(({ type }) => type === 1) || names.length < cosignersMin) continue;
    if (serving.some((key) => keyIn(first, key) !== undefined)) return names;
    strangers = true;
  }
  if (!strangers) throw new ProofError("The checkpoint lacks the cosignatures of two replicas.");
  throw new KeysChanged("The checkpoint has no signature by a key that was trusted first.");
}

async function signatureHolds(key: VerifierKey, bytes: Bytes, text: string): Promise<boolean> {
  let message = text;
  let signature = bytes;
  if (key.type === 4) {
    if (bytes.length !== 72) return false;
    const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
    message = `cosignature/v1\ntime ${view.getBigUint64(0)}\n${text}`;
    signature = bytes.slice(8);
  }
  if (signature.length !== 64) return false;
  return await verifyAsync(signature, encoder.encode(message), key.publicKey, { zip215: false });
}

/** Root that a proof leads to, RFC 9162 section 2.1.3.2. */
async function rootFrom(
  leaf: Bytes,
  index: number,
  size: number,
  proof: readonly Bytes[],
): Promise<Bytes> {
  demand(index >= 0 && index < size, "The receipt names a place outside the tree.");
  let node = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    demand(last > 0 && sibling.length === 32, "The proof has too many hashes.");
    if (node % 2 === 1 || node === last) {
      hash = await sha256(Uint8Array.of(1), sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else hash = await sha256(Uint8Array.of(1), hash, sibling);
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  demand(last === 0, "The proof has too few hashes.");
  return hash;
}

interface Extra {
  readonly tenant: string;
  readonly room: string;
  readonly size: number;
  readonly blind: Bytes;
  readonly entry: Bytes;
  readonly proof: readonly Bytes[];
}

function parseExtra(line: string | undefined): Extra {
  demand(line?.startsWith("extra ") === true, "The receipt has no entry in it.");
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytesFrom(line.slice(6)));
  const { v, tenant, room, blind, size, entry, proof } = JSON.parse(text);
  const strings = typeof tenant === "string" && typeof room === "string";
  demand(
    strings && Number.isSafeInteger(size) && Array.isArray(proof),
    "The receipt is malformed.",
  );
  const canonical = JSON.stringify({ v, tenant, room, blind, size, entry, proof });
  demand(v === 1 && canonical === text, "The receipt was altered.");
  return {
    tenant,
    room,
    size,
    blind: bytesFrom(blind),
    entry: bytesFrom(entry),
    proof: proof.map(bytesFrom),
  };
}

function sizedNames(tenant: string, room: string): Bytes {
  const names = [encoder.encode(tenant), encoder.encode(room)] as const;
  return joined([Uint8Array.of(names[0].length, names[1].length), ...names]);
}

/**
 * Checks a receipt: entry → room → log of the shard → checkpoint, signed and cosigned. `keys`: what
 * is trusted. Throws {@link ProofError}.
 */
export async function verifyReceipt(receipt: string, keys: Trusted): Promise<ProvenEntry> {
  const split = receipt.indexOf("\n\n");
  const lines = receipt.slice(0, split).split("\n");
  demand(split > 0 && lines.shift() === firstLine, "This is not a receipt.");
  const extra = parseExtra(lines.shift());
  const indexLine = lines.shift() ?? "";
  demand(indexLine.startsWith("index "), "The receipt is malformed.");
  const logProof = lines.map(bytesFrom);
  const checkpoint = await verifyCheckpoint(receipt.slice(split + 2), keys);

  const { entry, tenant, room, size, blind } = extra;
  const decoded = decodeEntry(entry);
  const bodyHash = decoded.redacted ? entry.slice(decoded.head) : await sha256(decoded.salted);
  const head = entry.slice(0, decoded.head);
  head[3] = (head[3] ?? 0) & ~1;
  const names = sizedNames(tenant, room);
  const leaf = await sha256(Uint8Array.of(0), names, head, bodyHash);
  const roomRoot = await rootFrom(leaf, decoded.seq - 1, size, extra.proof);
  demand(blind.length === 16, "The receipt is malformed.");
  const blinded = await sha256(encoder.encode("tigerchat room v1\n"), blind, names);
  const sizeBytes = new Uint8Array(8);
  new DataView(sizeBytes.buffer).setBigUint64(0, BigInt(size));
  const record = await sha256(Uint8Array.of(0), blinded, sizeBytes, roomRoot);
  const logRoot = await rootFrom(record, countFrom(indexLine.slice(6)), checkpoint.size, logProof);
  demand(equal(logRoot, bytesFrom(checkpoint.root)), "The entry is not in the signed log.");
  const { seq, timeUs, from, key, body, redacted } = decoded;
  return { tenant, room, seq, timeUs, from, key, body, redacted, roomSize: size, checkpoint };
}

/** An encoded entry, layout version 1 (little-endian). */
function decodeEntry(entry: Bytes) {
  const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
  const head = 48 + (entry[2] ?? 0);
  demand(entry.length > head && entry[0] === 1, "The entry in the receipt cannot be read.");
  const redacted = ((entry[3] ?? 0) & 1) === 1;
  const hex = hexFrom(entry.subarray(32, 48));
  const ends = [8, 12, 16, 20, 32];
  const key = ends.map((end, i) => hex.slice(ends[i - 1] ?? 0, end)).join("-");
  let body: string | null = null;
  try {
    const bytes = entry.subarray(head + 16);
    if (!redacted) body = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // Not text: the bytes are proved all the same.
  }
  return {
    head,
    redacted,
    salted: entry.subarray(head),
    seq: Number(view.getBigUint64(8, true)),
    timeUs: Number(view.getBigUint64(16, true)),
    from: new TextDecoder().decode(entry.subarray(48, head)),
    key,
    body,
  };
}
