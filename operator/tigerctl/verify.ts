import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { proofCrypto } from "#replica/crypto/proof-crypto.ts";
import type { Checkpoint, CheckpointPolicy } from "#replica/proof/checkpoint.ts";
import { cosignersMinDefault, verifyCheckpoint } from "#replica/proof/checkpoint.ts";
import { consistencySentences, relationOf, verifyExtends } from "#replica/proof/consistency.ts";
import { parseKeyList } from "#replica/proof/key-list.ts";
import { parseLogProof } from "#replica/proof/log-proof.ts";
import type { VerifierKey } from "#replica/proof/note.ts";
import { receiptSentences, verifyReceipt } from "#replica/proof/receipt.ts";
import { ExportVerifier } from "#replica/proof/room-export.ts";
import { systemTenant } from "#replica/wire/audit-room.ts";
import { AuditTally } from "./audit-tally.ts";
import { linesOf } from "./lines-of.ts";

/** How a check ended: 0 it holds, 1 it does not, 2 it could not be made. */
export interface Verdict {
  readonly code: 0 | 1 | 2;
  /** Sentences for people. */
  readonly lines: readonly string[];
}

/** Bytes of a receipt, a proof or a file of keys at most. */
const fileBytesMax = 1024 * 1024;

/** How the command is used. */
export const verifyUsage = `verify receipt FILE --key K [--seen CHECKPOINT]
verify export FILE --key K [--seen CHECKPOINT]
verify consistency FILE --key K --seen CHECKPOINT
K: a verifier key, or a file with one a line; may be given several times.
CHECKPOINT: a signed checkpoint, or a receipt, that was kept earlier.`;

/** A file, a key or a word of the command line that cannot be used. */
class Unusable extends Error {}

interface Parsed {
  readonly kind: string;
  readonly file: string;
  readonly keys: readonly string[];
  readonly seen: string | null;
}

function parseArguments(args: readonly string[]): Parsed {
  const words: string[] = [];
  const keys: string[] = [];
  let seen: string | null = null;
  for (let i = 0; i < args.length; i += 1) {
    const word = args[i] ?? "";
    if (word !== "--key" && word !== "--seen") {
      if (word.startsWith("--")) throw new Unusable(`Unknown option ${word}.\n${verifyUsage}`);
      words.push(word);
      continue;
    }
    i += 1;
    const value = args[i];
    if (value === undefined) throw new Unusable(`${word} needs a value.\n${verifyUsage}`);
    if (word === "--key") keys.push(value);
    else seen = value;
  }
  const [kind, file, more] = words;
  if (kind === undefined || file === undefined || more !== undefined) {
    throw new Unusable(verifyUsage);
  }
  if (keys.length === 0) throw new Unusable(`Name the shard's keys with --key.\n${verifyUsage}`);
  return { kind, file, keys, seen };
}

function requireFile(path: string, bytesMax: number): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Unusable(`There is no file ${path}.`);
  if (!stat.isFile()) throw new Unusable(`${path} is not a file.`);
  if (stat.size > bytesMax) throw new Unusable(`${path} has more than ${bytesMax} bytes.`);
}

function readText(path: string): string {
  requireFile(path, fileBytesMax);
  return readFileSync(path, "utf8");
}

function readKeys(sources: readonly string[]): readonly VerifierKey[] {
  return sources.flatMap((source) => {
    const text = source.includes("+") && !existsSync(source) ? source : readText(source);
    const keys = parseKeyList(proofCrypto.sha256, text);
    if (!keys.ok) throw new Unusable(`Not a verifier key (${keys.reason})`);
    return keys.value;
  });
}

/** The checkpoint that somebody kept: alone or at the end of a receipt. */
function readSeen(path: string, policy: CheckpointPolicy): Checkpoint {
  const text = readText(path);
  const proof = parseLogProof(text);
  const note = proof.ok ? proof.value.checkpoint : text;
  const checkpoint = verifyCheckpoint(proofCrypto, note, policy);
  if (checkpoint.ok) return checkpoint.value;
  throw new Unusable(`${path}: ${receiptSentences[checkpoint.reason]}`);
}

/** Who signs chooses the time: it may be one that no calendar has. */
function timeText(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? `${ms} ms since 1970` : time.toISOString();
}

function checkpointLines(checkpoint: Checkpoint & { readonly cosigners?: readonly Cosigner[] }) {
  const root = Buffer.from(checkpoint.root).toString("base64");
  const signers = (checkpoint.cosigners ?? []).map(({ name, timeS }) => {
    return `  cosigned by ${name} at ${timeText(timeS * 1000)}`;
  });
  return [`checkpoint: ${checkpoint.origin}, size ${checkpoint.size}, root ${root}`, ...signers];
}

interface Cosigner {
  readonly name: string;
  readonly timeS: number;
}

/** What a kept checkpoint says about a newer one without a proof between them. */
function forkVerdict(seen: Checkpoint | null, now: Checkpoint): Verdict | null {
  if (seen === null) return null;
  const relation = relationOf(seen, now);
  // An older receipt is no fault; only equal sizes can be compared without a proof.
  if (relation === null || relation === "older") return null;
  return refused(consistencySentences[relation]);
}

function refused(sentence: string): Verdict {
  return { code: 1, lines: [`REFUSED: ${sentence}`] };
}

function receiptVerdict(text: string, policy: CheckpointPolicy, seen: Checkpoint | null): Verdict {
  const verified = verifyReceipt(proofCrypto, text, policy);
  if (!verified.ok) return refused(receiptSentences[verified.reason]);
  const { name, entry, roomSize, checkpoint } = verified.value;
  const fork = forkVerdict(seen, checkpoint);
  if (fork !== null) return fork;
  const body = entry.redacted ? "(redacted)" : JSON.stringify(Buffer.from(entry.body).toString());
  const at = timeText(entry.timeUs / 1000);
  return {
    code: 0,
    lines: [
      `VERIFIED: entry ${entry.seq} of ${roomSize} in room ${JSON.stringify(name.room)}` +
        ` of tenant ${JSON.stringify(name.tenant)}`,
      `entry: ${entry.type} by ${JSON.stringify(entry.sender)} at ${at}, body ${body}`,
      ...checkpointLines(checkpoint),
    ],
  };
}

async function exportVerdict(
  path: string,
  policy: CheckpointPolicy,
  seen: Checkpoint | null,
): Promise<Verdict> {
  requireFile(path, Number.MAX_SAFE_INTEGER);
  const verifier = new ExportVerifier(proofCrypto, policy);
  const audit = new AuditTally();
  for await (const line of linesOf(createReadStream(path))) {
    if (!verifier.take(line)) break;
    audit.take(line);
  }
  const verdict = verifier.finish();
  if (!verdict.ok) return refused(verdict.message);
  const isAudit = verdict.name.tenant === systemTenant;
  if (isAudit && audit.fault !== null) return refused(audit.fault);
  const { name, first, size, checkpoint } = verdict;
  const fork = forkVerdict(seen, checkpoint);
  if (fork !== null) return fork;
  return {
    code: 0,
    lines: [
      `VERIFIED: entries ${first}-${size} of room ${JSON.stringify(name.room)}` +
        ` of tenant ${JSON.stringify(name.tenant)}, none changed, none missing`,
      ...(isAudit ? audit.sentences() : []),
      ...checkpointLines(checkpoint),
    ],
  };
}

function consistencyVerdict(text: string, policy: CheckpointPolicy, seen: Checkpoint): Verdict {
  const newer = verifyExtends(proofCrypto, seen, text, policy);
  if (!newer.ok) {
    const sentences = { ...receiptSentences, ...consistencySentences };
    return refused(sentences[newer.reason]);
  }
  const extended = `VERIFIED: ${newer.value.size} leaves extend the ${seen.size} known ones`;
  return { code: 0, lines: [extended, ...checkpointLines(newer.value)] };
}

/** Checks one file against keys; needs no server and no network. */
export async function verify(args: readonly string[]): Promise<Verdict> {
  try {
    const { kind, file, keys, seen } = parseArguments(args);
    const policy = { keys: readKeys(keys), cosignersMin: cosignersMinDefault };
    const kept = seen === null ? null : readSeen(seen, policy);
    if (kind === "receipt") return receiptVerdict(readText(file), policy, kept);
    if (kind === "export") return await exportVerdict(file, policy, kept);
    if (kind === "consistency" && kept !== null) {
      return consistencyVerdict(readText(file), policy, kept);
    }
    return { code: 2, lines: [verifyUsage] };
  } catch (error) {
    if (error instanceof Unusable) return { code: 2, lines: [error.message] };
    if (!isOfSystem(error)) throw error;
    return { code: 2, lines: [`A file cannot be read: ${error.message}.`] };
  }
}

/** The disk or its rights: not this program. */
function isOfSystem(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}
