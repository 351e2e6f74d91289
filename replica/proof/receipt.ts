import type { Result } from "#replica/base/result.ts";
import { fail, ok } from "#replica/base/result.ts";
import { textFromUtf8, utf8From } from "#replica/base/text.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import type { Entry } from "#replica/wire/entry.ts";
import { decodeEntry, entryLeafPreimage } from "#replica/wire/entry.ts";
import { base64From, bytesFromBase64 } from "./base64.ts";
import type { CheckpointFault, CheckpointPolicy, VerifiedCheckpoint } from "./checkpoint.ts";
import { verifyCheckpoint } from "./checkpoint.ts";
import { formatLogProof, parseHashes, parseLogProof } from "./log-proof.ts";
import { leafHash, rootFromInclusion, verifyInclusion } from "./merkle.ts";
import type { ProofCrypto } from "./note.ts";
import { blindBytes, blindedName, encodeRecord } from "./room-record.ts";

/** All that a receipt says; {@link formatReceipt} makes its text. */
export interface Receipt {
  readonly name: RoomName;
  /** Secret that opens the room's blinded name. */
  readonly blind: Uint8Array;
  /** The encoded entry (replica/wire/entry.ts), redacted or not. */
  readonly entry: Uint8Array;
  /** Entries of the room's tree. */
  readonly roomSize: number;
  /** From the entry's leaf up to the room's root. */
  readonly roomProof: readonly Uint8Array[];
  /** Place of the room's record in the shard's log, from 0. */
  readonly logIndex: number;
  readonly logProof: readonly Uint8Array[];
  /** Signed checkpoint of the shard's log. */
  readonly checkpoint: string;
}

/** Why a receipt is refused. */
export type ReceiptFault =
  | CheckpointFault
  | "receipt_malformed"
  | "entry_malformed"
  | "entry_not_in_room"
  | "room_not_in_log";

/** What a receipt proves. */
export interface VerifiedReceipt {
  readonly name: RoomName;
  readonly entry: Entry;
  readonly roomSize: number;
  readonly checkpoint: VerifiedCheckpoint;
}

/** Sentences for the faults, for people. */
export const receiptSentences: Readonly<Record<ReceiptFault, string>> = {
  note_malformed: "The checkpoint is not a signed note.",
  checkpoint_malformed: "The note is not a checkpoint of a log.",
  signature_wrong: "A signature of the checkpoint is wrong: the checkpoint was altered.",
  log_unsigned: "The checkpoint is not signed by a key of this log.",
  cosigners_missing: "The checkpoint lacks the cosignatures of two replicas.",
  receipt_malformed: "The file is not a receipt of this version, or was altered.",
  entry_malformed: "The entry in the receipt cannot be read: it was altered.",
  entry_not_in_room: "The entry is not in the room's tree: entry, room or proof was altered.",
  room_not_in_log: "The room's root is not in the shard's log: the receipt was altered.",
};

/** The text of a receipt: a tlog-proof whose extra data lead from the entry to the log's leaf. */
export function formatReceipt(receipt: Receipt): string {
  const { name, blind, entry, roomSize, roomProof, logIndex, logProof, checkpoint } = receipt;
  const extra = utf8From(encodeExtra({ name, blind, entry, roomSize, roomProof }));
  return formatLogProof({ extra, index: logIndex, hashes: logProof, checkpoint });
}

type Extra = Pick<Receipt, "name" | "blind" | "entry" | "roomSize" | "roomProof">;

/** Canonical: members in this order, no spaces. */
function encodeExtra({ name, blind, entry, roomSize, roomProof }: Extra): string {
  return JSON.stringify({
    v: 1,
    tenant: name.tenant,
    room: name.room,
    blind: base64From(blind),
    size: roomSize,
    entry: base64From(entry),
    proof: roomProof.map(base64From),
  });
}

function parseExtra(bytes: Uint8Array): Extra | null {
  const text = textFromUtf8(bytes);
  if (text === null) return null;
  const value = parseObject(text);
  if (value === null) return null;
  const { tenant, room, size, proof } = value;
  const entry = bytesMember(value["entry"]);
  const blind = bytesMember(value["blind"]);
  if (typeof tenant !== "string" || typeof room !== "string") return null;
  if (utf8From(tenant).length > 255 || utf8From(room).length > 255) return null;
  if (entry === null || blind === null || blind.length !== blindBytes) return null;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || !Array.isArray(proof)) return null;
  const lines: string[] = proof.filter((one) => typeof one === "string");
  const roomProof = lines.length === proof.length ? parseHashes(lines) : null;
  if (roomProof === null) return null;
  const extra = { name: { tenant, room }, blind, entry, roomSize: size, roomProof };
  // One text for one content: nothing can be changed without being seen.
  return encodeExtra(extra) === text ? extra : null;
}

function bytesMember(value: unknown): Uint8Array | null {
  return typeof value === "string" ? bytesFromBase64(value) : null;
}

/** The members of a JSON object, or null. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    return { ...value };
  } catch {
    return null;
  }
}

/** Hash of an encoded entry's leaf in its room's tree. */
export function entryLeaf(
  tools: Pick<ProofCrypto, "sha256">,
  name: RoomName,
  entry: Uint8Array,
): Uint8Array {
  const tenant = utf8From(name.tenant);
  const room = utf8From(name.room);
  return leafHash(tools.sha256, entryLeafPreimage(tenant, room, entry, tools.sha256));
}

/** Checks a receipt against keys, without any server. Never throws on hostile text. */
export function verifyReceipt(
  tools: ProofCrypto,
  text: string,
  policy: CheckpointPolicy,
): Result<VerifiedReceipt, ReceiptFault> {
  const proof = parseLogProof(text);
  if (!proof.ok || proof.value.extra === null) return fail("receipt_malformed");
  const extra = parseExtra(proof.value.extra);
  if (extra === null) return fail("receipt_malformed");
  const { name, entry, roomSize, roomProof } = extra;
  const decoded = decodeEntry(entry);
  if (!decoded.ok) return fail("entry_malformed");
  const checkpoint = verifyCheckpoint(tools, proof.value.checkpoint, policy);
  if (!checkpoint.ok) return checkpoint;
  const leaf = entryLeaf(tools, name, entry);
  const seq = decoded.value.seq;
  const root = rootFromInclusion(tools.sha256, leaf, seq - 1, roomSize, roomProof);
  if (root === null) return fail("entry_not_in_room");
  const blinded = blindedName(tools.sha256, extra.blind, name);
  const record = leafHash(tools.sha256, encodeRecord(blinded, roomSize, root));
  const { index, hashes } = proof.value;
  const { size, root: logRoot } = checkpoint.value;
  // A wrong entry and a wrong log look alike here: the record follows from both.
  if (!verifyInclusion(tools.sha256, record, index, size, hashes, logRoot)) {
    return fail(roomSize < 1 ? "entry_not_in_room" : "room_not_in_log");
  }
  return ok({ name, entry: decoded.value, roomSize, checkpoint: checkpoint.value });
}
