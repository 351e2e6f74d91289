import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { bytesEqual } from "#replica/base/bytes.ts";
import { base64From } from "./base64.ts";
import type {
  Checkpoint,
  CheckpointFault,
  CheckpointPolicy,
  VerifiedCheckpoint,
} from "./checkpoint.ts";
import { parseCount, verifyCheckpoint } from "./checkpoint.ts";
import { parseHashes } from "./log-proof.ts";
import { verifyConsistency } from "./merkle.ts";
import type { ProofCrypto } from "./note.ts";

/** That a newer tree extends an older one: body of add-checkpoint, c2sp.org/tlog-witness. */
export interface ConsistencyProof {
  /** Leaves of the older tree. */
  readonly oldSize: number;
  readonly hashes: readonly Uint8Array[];
  /** The newer signed checkpoint. */
  readonly checkpoint: string;
}

/** Why a newer checkpoint is not accepted by one who knows an older one. */
export type ConsistencyFault = CheckpointFault | "proof_malformed" | "other_log" | "older" | "fork";

/** Sentences for the faults that checkpoints do not have. */
export const consistencySentences: Readonly<
  Record<Exclude<ConsistencyFault, CheckpointFault>, string>
> = {
  proof_malformed: "The file is not a consistency proof, or was altered.",
  other_log: "The checkpoints are of different logs.",
  older: "The checkpoint is older than the known one.",
  fork: "FORK: the checkpoint does not extend the known one. Keep both: together they prove it.",
};

/** Writes a proof. */
export function formatConsistency(proof: ConsistencyProof): string {
  const hashes = proof.hashes.map((hash) => `${base64From(hash)}\n`).join("");
  return `old ${proof.oldSize}\n${hashes}\n${proof.checkpoint}`;
}

/** Reads a proof; never throws. */
export function parseConsistency(text: string): ConsistencyProof | null {
  const split = text.indexOf("\n\n");
  const [first, ...rest] = split < 0 ? [] : text.slice(0, split).split("\n");
  if (first === undefined || !first.startsWith("old ")) return null;
  const oldSize = parseCount(first.slice(4));
  const hashes = parseHashes(rest);
  if (oldSize === null || hashes === null) return null;
  return { oldSize, hashes, checkpoint: text.slice(split + 2) };
}

/** Checks that a signed checkpoint extends one that is known; the newer one on success. */
export function verifyExtends(
  tools: ProofCrypto,
  known: Checkpoint,
  text: string,
  policy: CheckpointPolicy,
): Result<VerifiedCheckpoint, ConsistencyFault> {
  const proof = parseConsistency(text);
  if (proof === null) return fail("proof_malformed");
  const newer = verifyCheckpoint(tools, proof.checkpoint, policy);
  if (!newer.ok) return newer;
  const relation = relationOf(known, newer.value);
  if (relation !== null) return fail(relation);
  if (proof.oldSize !== known.size) return fail("proof_malformed");
  const extended = verifyConsistency(tools.sha256, known, newer.value, proof.hashes);
  return extended ? ok(newer.value) : fail("fork");
}

/** Why two checkpoints cannot be of one history, as far as that shows without a proof. */
export function relationOf(
  known: Checkpoint,
  newer: Checkpoint,
): "other_log" | "older" | "fork" | null {
  if (known.origin !== newer.origin) return "other_log";
  if (known.size === newer.size && !bytesEqual(known.root, newer.root)) return "fork";
  return newer.size < known.size ? "older" : null;
}
