import { assert } from "#replica/base/assert.ts";
import { bytesConcat, bytesEqual } from "#replica/base/bytes.ts";
import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { utf8From } from "#replica/base/text.ts";
import { base64From, bytesFromBase64 } from "./base64.ts";
import type { Digest } from "./merkle.ts";

/** Signature types of c2sp.org/signed-note that we know. */
export const signatureTypes = {
  /** Ed25519 over the note's text: how a log signs. */
  ed25519: 0x01,
  /** Timestamped Ed25519 cosignature, c2sp.org/tlog-cosignature. */
  cosignature: 0x04,
} as const;

/** Hash and signature check, given from outside. `verify` never throws. */
export interface ProofCrypto {
  readonly sha256: Digest;
  /** Ed25519, RFC 8032: public key of 32 bytes, signature of 64. */
  readonly verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
}

/** One signature line. */
export interface NoteSignature {
  readonly name: string;
  /** Four bytes: id of the key. */
  readonly keyId: Uint8Array;
  /** What follows the id. */
  readonly bytes: Uint8Array;
}

/** A text with signature lines, c2sp.org/signed-note. */
export interface SignedNote {
  /** Ends with a newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** A public key as verifiers are told it. */
export interface VerifierKey {
  readonly name: string;
  readonly keyId: Uint8Array;
  readonly type: number;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Ops during which it was a member's (key-list.ts); absent: always. */
  readonly ops?: { readonly from: number; readonly to: number };
}

/** Why a text is no signed note, or no key. */
export type NoteFault = "size" | "control" | "shape" | "signature" | "name" | "id" | "type";

/** Bytes of a note at most; ours have some hundred. */
export const noteBytesMax = 64 * 1024;
/** Signature lines of a note at most. */
export const noteSignaturesMax = 64;

const dash = "\u2014 ";

/** True for names that a key may have: no space of any kind, no plus. */
export function isKeyName(name: string): boolean {
  return name.length > 0 && !/[\s+\u0085]/u.test(name);
}

/** Id of a key: SHA-256 of name, newline, type, key; the first four bytes. */
export function keyIdOf(digest: Digest, name: string, type: number, key: Uint8Array): Uint8Array {
  return digest(bytesConcat([utf8From(`${name}\n`), Uint8Array.of(type), key])).slice(0, 4);
}

/** The key of a name, with its id. */
export function verifierKeyOf(
  digest: Digest,
  name: string,
  type: number,
  publicKey: Uint8Array,
): VerifierKey {
  assert(isKeyName(name) && publicKey.length === 32, "PRF-04: a key has a name and 32 bytes");
  return { name, type, publicKey, keyId: keyIdOf(digest, name, type, publicKey) };
}

/** `name+id+base64(type, key)`, the usual text of a verifier key. */
export function formatVerifierKey(key: VerifierKey): string {
  const id = [...key.keyId].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${key.name}+${id}+${base64From(bytesConcat([Uint8Array.of(key.type), key.publicKey]))}`;
}

/** Reads a verifier key; its id must follow from its name and bytes. */
export function parseVerifierKey(digest: Digest, text: string): Result<VerifierKey, NoteFault> {
  // The base64 may hold a plus as well: only the first two separate.
  const first = text.indexOf("+");
  const second = text.indexOf("+", first + 1);
  if (first < 0 || second < 0) return fail("shape");
  const name = text.slice(0, first);
  if (!isKeyName(name)) return fail("name");
  const bytes = bytesFromBase64(text.slice(second + 1));
  if (bytes === null || bytes.length < 1) return fail("shape");
  const type = bytes[0] ?? 0;
  const known = type === signatureTypes.ed25519 || type === signatureTypes.cosignature;
  if (!known || bytes.length !== 33) return fail("type");
  const key = verifierKeyOf(digest, name, type, bytes.slice(1));
  return formatVerifierKey(key) === text ? ok(key) : fail("id");
}

/** Writes a note. */
export function formatNote(note: SignedNote): string {
  assert(note.text.endsWith("\n"), "PRF-04: a note's text ends with a newline");
  const lines = note.signatures.map(({ name, keyId, bytes }) => {
    return `${dash}${name} ${base64From(bytesConcat([keyId, bytes]))}\n`;
  });
  return `${note.text}\n${lines.join("")}`;
}

/** Reads a note; never throws. Signatures are not checked. */
export function parseNote(text: string): Result<SignedNote, NoteFault> {
  if (text.length > noteBytesMax) return fail("size");
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code < 0x20 && code !== 0x0a) return fail("control");
  }
  const split = text.lastIndexOf("\n\n");
  if (split < 0 || !text.endsWith("\n")) return fail("shape");
  const lines = text.slice(split + 2, -1).split("\n");
  if (lines.length > noteSignaturesMax) return fail("size");
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const signature = parseSignature(line);
    if (signature === null) return fail("signature");
    signatures.push(signature);
  }
  return ok({ text: text.slice(0, split + 1), signatures });
}

function parseSignature(line: string): NoteSignature | null {
  if (!line.startsWith(dash)) return null;
  const [name, encoded, more] = line.slice(dash.length).split(" ");
  if (name === undefined || encoded === undefined || more !== undefined) return null;
  const bytes = bytesFromBase64(encoded);
  if (!isKeyName(name) || bytes === null || bytes.length < 5) return null;
  return { name, keyId: bytes.subarray(0, 4), bytes: bytes.subarray(4) };
}

/** The signatures of a note whose key is known, each with its key. Others are left out. */
export function knownSignatures(
  note: SignedNote,
  keys: readonly VerifierKey[],
): readonly { readonly key: VerifierKey; readonly signature: NoteSignature }[] {
  const known: { key: VerifierKey; signature: NoteSignature }[] = [];
  for (const signature of note.signatures) {
    const key = keys.find(
      ({ name, keyId }) => name === signature.name && bytesEqual(keyId, signature.keyId),
    );
    if (key !== undefined) known.push({ key, signature });
  }
  return known;
}
