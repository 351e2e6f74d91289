import { assert } from "#replica/base/assert.ts";
import { type Checksum, checksumOf } from "#replica/base/brands.ts";
import { bytesFromHex, hexFrom, readU64, writeU64 } from "#replica/base/bytes.ts";
import { diskUnitBytes } from "#replica/base/limits.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import type { JournalTools } from "./journal-tools.ts";
import {
  decodeContent,
  encodeContent,
  shardBytes,
  type SuperblockContent,
} from "./superblock-codec.ts";

// A copy is 16 KiB: magic (8), version u32, copy u32, content bytes u32, zero u32, write number
// u64, parent (32), checksum (32), zeros to 128, content, zeros. The checksum covers the whole copy
// with the fields copy and checksum as zeros, so equal copies have equal checksums. The write
// number is dense on disk, unlike the sequence of states, of which queued ones are never written.

const magic = [0x54, 0x49, 0x47, 0x45, 0x52, 0x53, 0x42, 0x00]; // "TIGERSB", 0
const versionAt = 8;
const copyAt = 12;
const contentBytesAt = 16;
const numberAt = 24;
const parentAt = 32;
const checksumAt = 64;
const contentAt = 128;

/** Version of the on-disk format; a volume of another one is refused. */
export const superblockVersion = 3;
/** Bytes of one copy. */
export const superblockCopyBytes = 16 * 1024;
/** Copies of the superblock; written two and two with a sync between. */
export const superblockCopies = 4;
/** Bytes of the zone: the copies, and one unit for the mark of a poisoned volume. */
export const superblockZoneBytes = superblockCopies * superblockCopyBytes + diskUnitBytes;
/** Byte of the zone at which the poison mark stands. */
export const poisonMarkAt = superblockCopies * superblockCopyBytes;

/** What orders the superblock's writes: from 1, dense, each naming the checksum of the last. */
export interface SuperblockLink {
  readonly number: number;
  readonly parent: Checksum;
}

/** Fills all copies into one buffer; returns the checksum, the next write's parent. */
export function encodeSuperblock(
  tools: JournalTools,
  content: SuperblockContent,
  link: SuperblockLink,
  into: Uint8Array,
): Checksum {
  assert(into.length === superblockCopies * superblockCopyBytes, "JRN-08: all copies");
  into.fill(0);
  const first = into.subarray(0, superblockCopyBytes);
  const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
  first.set(magic, 0);
  view.setUint32(versionAt, superblockVersion, true);
  writeU64(view, numberAt, link.number);
  first.set(bytesFromHex(link.parent), parentAt);
  const end = encodeContent(tools, content, first, contentAt);
  view.setUint32(contentBytesAt, end - contentAt, true);
  const checksum = tools.hash(first);
  first.set(bytesFromHex(checksum), checksumAt);
  for (let copy = 1; copy < superblockCopies; copy += 1) {
    const at = copy * superblockCopyBytes;
    into.copyWithin(at, 0, superblockCopyBytes);
    new DataView(into.buffer, into.byteOffset + at, superblockCopyBytes).setUint32(
      copyAt,
      copy,
      true,
    );
  }
  return checksum;
}

/** One copy as read from its place. */
export type SuperblockCopy =
  | { readonly kind: "blank" }
  | { readonly kind: "invalid" }
  | { readonly kind: "old_format"; readonly version: number }
  | {
      readonly kind: "valid";
      readonly number: number;
      readonly parent: Checksum;
      readonly checksum: Checksum;
      readonly content: SuperblockContent;
    };

/** Reads the copy of that index; a copy from another place is invalid. */
export function decodeSuperblockCopy(
  tools: JournalTools,
  bytes: Uint8Array,
  copy: number,
): SuperblockCopy {
  assert(bytes.length === superblockCopyBytes, "JRN-08: one copy");
  if (bytes.every((byte) => byte === 0)) return { kind: "blank" };
  if (magic.some((byte, index) => bytes[index] !== byte)) return { kind: "invalid" };
  const scratch = bytes.slice();
  const view = new DataView(scratch.buffer, scratch.byteOffset, scratch.byteLength);
  const index = view.getUint32(copyAt, true);
  const checksum = checksumOf(scratch.subarray(checksumAt, checksumAt + 32));
  view.setUint32(copyAt, 0, true);
  scratch.fill(0, checksumAt, checksumAt + 32);
  if (tools.hash(scratch) !== checksum || index !== copy) return { kind: "invalid" };
  const version = view.getUint32(versionAt, true);
  // The checksum held, so this is what a release wrote, not damage.
  if (version !== superblockVersion) return { kind: "old_format", version };
  const number = readU64(view, numberAt);
  const content = decodeContent(tools, bytes, contentAt);
  if (content === null || !Number.isSafeInteger(number)) return { kind: "invalid" };
  const parent = checksumOf(bytes.subarray(parentAt, parentAt + 32));
  return { kind: "valid", number, parent, checksum, content };
}

/** Which superblock a volume has, out of its four copies. */
export type SuperblockChoice =
  | { readonly kind: "blank" }
  /** The very first write was cut off: the last two copies were never written at all. */
  | { readonly kind: "unfinished" }
  | {
      readonly kind: "chosen";
      readonly content: SuperblockContent;
      readonly checksum: Checksum;
      readonly link: SuperblockLink;
      /** Copies that must be written again: damaged, older, or of a write that was cut off. */
      readonly stale: readonly number[];
    }
  | {
      readonly kind: "refused";
      readonly code: "fork" | "old_format" | "corrupt_superblock";
      /** Copy that shows it. */
      readonly copy: number;
      readonly detail: string;
    };

/**
 * Cluster and shard that a copy names, its checksum not asked: whoever looks at an unknown volume
 * needs them before any header on it can be decoded. Null when there is no copy of ours.
 */
export function peekShard(
  bytes: Uint8Array,
): { readonly cluster: string; readonly shard: string } | null {
  if (magic.some((byte, index) => bytes[index] !== byte)) return null;
  const at = contentAt + 8;
  const padded = bytes.subarray(at + 16, at + 16 + shardBytes);
  const end = padded.indexOf(0);
  const shard = textFromUtf8(end === -1 ? padded : padded.subarray(0, end));
  if (shard === null || shard === "") return null;
  return { cluster: hexFrom(bytes.subarray(at, at + 16)), shard };
}

type ValidCopy = Extract<SuperblockCopy, { readonly kind: "valid" }> & { readonly copy: number };

function refused(
  code: "fork" | "old_format" | "corrupt_superblock",
  copy: number,
  detail: string,
): SuperblockChoice {
  return { kind: "refused", code, copy, detail };
}

/**
 * Two equal copies make a superblock; the newest single copy never does. All sound copies must be
 * one sequence, or two that follow each other by parent: anything else is a fork or a rollback.
 */
export function chooseSuperblock(copies: readonly SuperblockCopy[]): SuperblockChoice {
  assert(copies.length === superblockCopies, "JRN-09: four copies");
  if (copies.every((copy) => copy.kind === "blank")) return { kind: "blank" };
  const valid: ValidCopy[] = [];
  for (const [index, copy] of copies.entries()) {
    if (copy.kind === "old_format") {
      return refused("old_format", index, `format version ${copy.version}`);
    }
    if (copy.kind === "valid") valid.push({ ...copy, copy: index });
  }
  valid.sort((a, b) => a.number - b.number);
  const broken = firstBreak(valid);
  if (broken !== null) return broken;
  for (const candidate of valid.toReversed()) {
    const equal = valid.filter((copy) => copy.checksum === candidate.checksum);
    if (equal.length < 2) continue;
    const stale: number[] = [];
    for (let copy = 0; copy < superblockCopies; copy += 1) {
      if (!equal.some((sound) => sound.copy === copy)) stale.push(copy);
    }
    const { content, checksum, number, parent } = candidate;
    return { kind: "chosen", content, checksum, link: { number, parent }, stale };
  }
  if (copies[2]?.kind === "blank" && copies[3]?.kind === "blank") return { kind: "unfinished" };
  const bad = copies.findIndex((copy) => copy.kind !== "valid");
  return refused("corrupt_superblock", Math.max(bad, 0), "no two copies agree");
}

function firstBreak(valid: readonly ValidCopy[]): SuperblockChoice | null {
  for (let i = 1; i < valid.length; i += 1) {
    const lower = valid[i - 1];
    const upper = valid[i];
    if (lower === undefined || upper === undefined) return null;
    if (lower.checksum === upper.checksum) continue;
    if (lower.number === upper.number) {
      return refused("fork", upper.copy, `two contents of write ${upper.number}`);
    }
    if (upper.number !== lower.number + 1) {
      const gap = `write ${upper.number} beside ${lower.number}`;
      return refused("fork", upper.copy, gap);
    }
    if (upper.parent !== lower.checksum) {
      return refused("fork", upper.copy, `write ${upper.number} has another parent`);
    }
  }
  const first = valid[0];
  const last = valid.at(-1);
  if (first === undefined || last === undefined) return null;
  if (last.number - first.number <= 1) return null;
  return refused("fork", first.copy, `writes ${first.number} to ${last.number}`);
}
