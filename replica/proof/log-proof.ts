import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { base64From, bytesFromBase64 } from "./base64.ts";
import { parseCount } from "./checkpoint.ts";
import { treeHashBytes } from "./merkle.ts";

/** An inclusion proof with its checkpoint, c2sp.org/tlog-proof. */
export interface LogProof {
  /** Opaque, not authenticated by itself; null = none. */
  readonly extra: Uint8Array | null;
  /** Of the leaf, from 0. */
  readonly index: number;
  /** From the leaf up. */
  readonly hashes: readonly Uint8Array[];
  /** The signed checkpoint as a note. */
  readonly checkpoint: string;
}

/** Why a text is no proof. */
export type LogProofFault = "size" | "version" | "extra" | "index" | "hash" | "shape";

const firstLine = "c2sp.org/tlog-proof@v1";
/** Hashes of one proof at most. */
export const proofHashesMax = 64;
/** Characters of a proof at most: the largest entry and two proofs fit several times. */
export const logProofCharsMax = 256 * 1024;

/** Writes a proof. */
export function formatLogProof(proof: LogProof): string {
  const extra = proof.extra === null ? "" : `extra ${base64From(proof.extra)}\n`;
  const hashes = proof.hashes.map((hash) => `${base64From(hash)}\n`).join("");
  return `${firstLine}\n${extra}index ${proof.index}\n${hashes}\n${proof.checkpoint}`;
}

/** Reads hashes of 32 bytes, one a line; null when one is none or they are too many. */
export function parseHashes(lines: readonly string[]): readonly Uint8Array[] | null {
  if (lines.length > proofHashesMax) return null;
  const hashes: Uint8Array[] = [];
  for (const line of lines) {
    const hash = bytesFromBase64(line);
    if (hash === null || hash.length !== treeHashBytes) return null;
    hashes.push(hash);
  }
  return hashes;
}

/** Reads a proof; never throws. The checkpoint is not looked at. */
export function parseLogProof(text: string): Result<LogProof, LogProofFault> {
  if (text.length > logProofCharsMax) return fail("size");
  const split = text.indexOf("\n\n");
  if (split < 0) return fail("shape");
  const lines = text.slice(0, split).split("\n");
  if (lines.shift() !== firstLine) return fail("version");
  let extra: Uint8Array | null = null;
  if (lines[0]?.startsWith("extra ") === true) {
    extra = bytesFromBase64((lines.shift() ?? "").slice("extra ".length));
    if (extra === null) return fail("extra");
  }
  const indexLine = lines.shift() ?? "";
  const index = indexLine.startsWith("index ") ? parseCount(indexLine.slice(6)) : null;
  if (index === null) return fail("index");
  const hashes = parseHashes(lines);
  if (hashes === null) return fail("hash");
  return ok({ extra, index, hashes, checkpoint: text.slice(split + 2) });
}
