import { bytesEqual } from "#replica/base/bytes.ts";
import { utf8From } from "#replica/base/text.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import { decodeEntry } from "#replica/wire/entry.ts";
import { base64From, bytesFromBase64 } from "./base64.ts";
import type { CheckpointPolicy, VerifiedCheckpoint } from "./checkpoint.ts";
import { verifyCheckpoint } from "./checkpoint.ts";
import { Frontier } from "./frontier.ts";
import { parseLogProof } from "./log-proof.ts";
import { leafHash, verifyInclusion } from "./merkle.ts";
import type { ProofCrypto } from "./note.ts";
import { entryLeaf, parseObject, receiptSentences } from "./receipt.ts";
import { blindBytes, blindedName, encodeRecord } from "./room-record.ts";

/** First line of an export: which entries follow, and the proof of the room's root. */
export interface ExportHeader {
  readonly name: RoomName;
  readonly blind: Uint8Array;
  /** Seq of the first entry; entries before it are below the floor. */
  readonly first: number;
  /** Entries of the room's tree: seq of the last entry. */
  readonly size: number;
  /** Frontier of the entries before the first, 32 bytes a hash. */
  readonly frontier: Uint8Array;
  /** A tlog-proof of the room's record, without extra data. */
  readonly proof: string;
}

/** An export that holds, or the sentence that names what does not. */
export type ExportVerdict =
  | {
      readonly ok: true;
      readonly name: RoomName;
      readonly first: number;
      readonly size: number;
      readonly checkpoint: VerifiedCheckpoint;
    }
  | { readonly ok: false; readonly code: ExportFault; readonly message: string };

/** What can be wrong with an export. */
export type ExportFault =
  | "header_malformed"
  | "line_malformed"
  | "entry_altered"
  | "entry_missing"
  | "entries_swapped"
  | "entry_repeated"
  | "history_differs"
  | "proof_refused";

/** The first line, with its newline. */
export function formatExportHeader(header: ExportHeader): string {
  const { name, blind, first, size, frontier, proof } = header;
  const line = {
    export: 1,
    tenant: name.tenant,
    room: name.room,
    blind: base64From(blind),
    first,
    size,
    frontier: base64From(frontier),
    proof,
  };
  return `${JSON.stringify(line)}\n`;
}

/** The line of an entry, with its newline. The leaf's hash tells which entry was altered. */
export function formatExportEntry(seq: number, entry: Uint8Array, leaf: Uint8Array): string {
  return `${JSON.stringify({ seq, leaf: base64From(leaf), entry: base64From(entry) })}\n`;
}

function parseHeader(line: string): ExportHeader | null {
  const value = parseObject(line);
  if (value === null || value["export"] !== 1) return null;
  const { tenant, room, first, size, proof } = value;
  const blind = bytesOf(value["blind"]);
  const frontier = bytesOf(value["frontier"]);
  if (typeof tenant !== "string" || typeof room !== "string" || typeof proof !== "string") {
    return null;
  }
  if (utf8From(tenant).length > 255 || utf8From(room).length > 255) return null;
  if (blind === null || blind.length !== blindBytes || frontier === null) return null;
  if (!isCount(first) || !isCount(size) || first < 1 || first > size + 1) return null;
  const header = { name: { tenant, room }, blind, first, size, frontier, proof };
  return formatExportHeader(header) === `${line}\n` ? header : null;
}

function bytesOf(value: unknown): Uint8Array | null {
  return typeof value === "string" ? bytesFromBase64(value) : null;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function bad(code: ExportFault, message: string): ExportVerdict & { ok: false } {
  return { ok: false, code, message };
}

/** Checks an export line by line in bounded memory, without any server. Never throws. */
export class ExportVerifier {
  private readonly tools: ProofCrypto;
  private readonly policy: CheckpointPolicy;
  private header: ExportHeader | null = null;
  private frontier: Frontier;
  private verdict: (ExportVerdict & { ok: false }) | null = null;
  /** An entry that came one place too early; the next line tells a swap from a hole. */
  private early = 0;

  constructor(tools: ProofCrypto, policy: CheckpointPolicy) {
    this.tools = tools;
    this.policy = policy;
    this.frontier = Frontier.empty(tools.sha256);
  }

  /** Takes the next line without its newline; false: the verdict is known, the rest is not read. */
  take(line: string): boolean {
    if (this.verdict !== null) return false;
    if (this.header === null) this.takeHeader(line);
    else this.verdict = this.judgeEntry(this.header, line);
    return this.verdict === null;
  }

  private takeHeader(line: string): void {
    this.header = parseHeader(line);
    if (this.header === null) {
      this.verdict = bad("header_malformed", "Line 1 is not the header of an export, or altered.");
      return;
    }
    const { first, frontier } = this.header;
    const start = Frontier.decode(this.tools.sha256, first - 1, frontier);
    if (start !== null) this.frontier = start;
    else this.verdict = bad("header_malformed", "The frontier does not fit the first entry.");
  }

  private judgeEntry(header: ExportHeader, line: string): (ExportVerdict & { ok: false }) | null {
    const expected = this.frontier.size + 1;
    const value = parseObject(line);
    const seq = value?.["seq"];
    const leaf = bytesOf(value?.["leaf"]);
    const entry = bytesOf(value?.["entry"]);
    const whole = isCount(seq) && leaf !== null && leaf.length === 32 && entry !== null;
    if (!whole || formatExportEntry(seq, entry, leaf) !== `${line}\n`) {
      return bad("line_malformed", `The line of entry ${expected} was altered.`);
    }
    if (this.early > 0) return earlyFault(expected, seq === expected);
    if (expected > header.size) return bad("entry_repeated", `Entry ${seq} is behind the end.`);
    if (seq === expected + 1) {
      this.early = seq;
      return null;
    }
    if (seq !== expected) return orderFault(expected, seq);
    const decoded = decodeEntry(entry);
    if (!decoded.ok) return bad("entry_altered", `Entry ${seq} was altered: ${decoded.reason}.`);
    if (decoded.value.seq !== seq) {
      const what = `Entry ${decoded.value.seq} stands in the place of entry ${seq}.`;
      return bad("entries_swapped", what);
    }
    if (!bytesEqual(entryLeaf(this.tools, header.name, entry), leaf)) {
      return bad("entry_altered", `Entry ${seq} was altered: it does not give its leaf's hash.`);
    }
    this.frontier.append(leaf);
    return null;
  }

  /** The verdict, after the last line. */
  finish(): ExportVerdict {
    if (this.verdict !== null) return this.verdict;
    const { header, tools } = this;
    if (header === null) return bad("header_malformed", "The file is empty.");
    const { name, blind, first, size } = header;
    if (this.early > 0) return earlyFault(this.early - 1, false);
    const missing = size - this.frontier.size;
    if (missing > 0) {
      const which =
        missing === 1 ? `Entry ${size} is` : `Entries ${size - missing + 1}-${size} are`;
      return bad("entry_missing", `${which} missing at the end.`);
    }
    const proof = parseLogProof(header.proof);
    if (!proof.ok || proof.value.extra !== null) {
      return bad("proof_refused", "The proof in line 1 was altered.");
    }
    const checkpoint = verifyCheckpoint(tools, proof.value.checkpoint, this.policy);
    if (!checkpoint.ok) return bad("proof_refused", receiptSentences[checkpoint.reason]);
    const blinded = blindedName(tools.sha256, blind, name);
    const record = encodeRecord(blinded, size, this.frontier.root());
    const leaf = leafHash(tools.sha256, record);
    const { index, hashes } = proof.value;
    const { root } = checkpoint.value;
    if (!verifyInclusion(tools.sha256, leaf, index, checkpoint.value.size, hashes, root)) {
      return bad(
        "history_differs",
        "These entries are not the history that the shard signed: entries, name or size differ.",
      );
    }
    return { ok: true, name, first, size, checkpoint: checkpoint.value };
  }
}

function orderFault(expected: number, found: number): ExportVerdict & { ok: false } {
  if (found < expected) {
    return bad("entry_repeated", `Entry ${found} stands where entry ${expected} belongs.`);
  }
  return bad("entry_missing", `Entries ${expected}-${found - 1} are missing.`);
}

function earlyFault(expected: number, swapped: boolean): ExportVerdict & { ok: false } {
  return swapped
    ? bad("entries_swapped", `Entries ${expected} and ${expected + 1} are swapped.`)
    : bad("entry_missing", `Entry ${expected} is missing.`);
}
