import { bytesFromHex } from "#replica/base/bytes.ts";
import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { cosignerName, parseCount } from "./checkpoint.ts";
import type { Digest } from "./merkle.ts";
import type { VerifierKey } from "./note.ts";
import { formatVerifierKey, parseVerifierKey, signatureTypes, verifierKeyOf } from "./note.ts";

/** Ops of a shard's log, both included, during which a key was a member's. */
export interface OpRange {
  readonly from: number;
  /** `Number.MAX_SAFE_INTEGER`: until now. */
  readonly to: number;
}

/** The key of a member, and when it was one. */
export interface KeyTenure {
  readonly replica: number;
  /** Ed25519, 64 hex digits. */
  readonly publicKey: string;
  readonly ops: OpRange;
}

/** Bytes of a list at most: six keys of 200 bytes, and former ones. */
export const keyListCharsMax = 256 * 1024;

const always: OpRange = { from: 0, to: Number.MAX_SAFE_INTEGER };

/** The key of a member of which no other time is known. */
export function tenureForEver(member: {
  readonly replica: number;
  readonly publicKey: string;
}): KeyTenure {
  return { replica: member.replica, publicKey: member.publicKey, ops: always };
}

function isAlways({ from, to }: OpRange): boolean {
  return from === always.from && to === always.to;
}

/** A replica's keys: as the log, then as cosigner. */
export function keysOfTenure(digest: Digest, origin: string, tenure: KeyTenure): VerifierKey[] {
  const { replica, publicKey, ops } = tenure;
  const bytes = bytesFromHex(publicKey);
  const { ed25519, cosignature } = signatureTypes;
  const name = cosignerName(origin, replica);
  const range = isAlways(ops) ? {} : { ops };
  return [
    { ...verifierKeyOf(digest, origin, ed25519, bytes), ...range },
    { ...verifierKeyOf(digest, name, cosignature, bytes), ...range },
  ];
}

/**
 * The text that verifiers are given: one verifier key a line. Before keys that were not members for
 * ever stands a line `# ops FROM-TO` (TO is empty while they are): it counts for the keys that
 * follow. Without replacements there is no such line.
 */
export function formatKeyList(
  digest: Digest,
  origin: string,
  tenures: readonly KeyTenure[],
): string {
  const plain = tenures.every(({ ops }) => isAlways(ops));
  return tenures
    .map((tenure) => {
      const { from, to } = tenure.ops;
      const range = plain ? "" : `# ops ${from}-${to === always.to ? "" : to}\n`;
      const keys = keysOfTenure(digest, origin, tenure).map(formatVerifierKey);
      return `${range}${keys.join("\n")}\n`;
    })
    .join("");
}

/** Reads such a text; other lines that begin with # are ignored. The reason names the line. */
export function parseKeyList(digest: Digest, text: string): Result<VerifierKey[], string> {
  if (text.length > keyListCharsMax) return fail("it is too long");
  let ops = always;
  const keys: VerifierKey[] = [];
  for (const line of text.split("\n").map((each) => each.trim())) {
    if (line === "") continue;
    if (line.startsWith("#")) {
      const [, from, to] = /^# ops ([0-9]+)-([0-9]*)$/.exec(line) ?? [];
      if (from === undefined || to === undefined) continue;
      const range = rangeFrom(from, to);
      if (range === null) return fail(`ops: ${line}`);
      ops = range;
      continue;
    }
    const key = parseVerifierKey(digest, line);
    if (!key.ok) return fail(`${key.reason}: ${line.slice(0, 300)}`);
    keys.push(isAlways(ops) ? key.value : { ...key.value, ops });
  }
  return ok(keys);
}

function rangeFrom(fromText: string, toText: string): OpRange | null {
  const from = parseCount(fromText);
  const to = toText === "" ? always.to : parseCount(toText);
  return from === null || to === null || to < from ? null : { from, to };
}
