import { assert } from "#replica/base/assert.ts";
import { type Op, opFrom } from "#replica/base/brands.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import type { RecoveredSlot } from "#replica/wire/storage-port.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import { type DecisionInput, type DecisionRow, decide } from "./decision-table.ts";
import { liveOpOf, type WalGeometry } from "./geometry.ts";
import { type Identifier, identifierAbsent, type StoredIdentifier } from "./identifier-sector.ts";
import { judgeHeader } from "./judge-header.ts";
import type { SlotScan, WriteId } from "./wal-slot.ts";

/** A slot's scan without its body, which was opened and checked before it was let go. */
export type SlotFacts =
  | Exclude<SlotScan, { readonly kind: "whole" }>
  | {
      readonly kind: "whole";
      readonly header: PrepareHeader;
      readonly id: WriteId;
      readonly units: number;
    };

/** What both rings and the superblock say together about one slot. */
export interface SlotVerdict {
  readonly slot: number;
  readonly row: DecisionRow;
  readonly state: DecisionRow["state"];
  /** Op that the slot holds or must hold; 0 when empty and never written. */
  readonly op: Op;
  /** Null: nothing trustworthy names it. */
  readonly header: PrepareHeader | null;
  /**
   * A faulty slot whose units may have held a newer op than the old one that a sure identifier
   * names: only if that one lies close above the head, which consensus judges.
   */
  readonly doubtful: boolean;
  /** What the identifiers ring must say; equal to what it says when `row.repair` is keep. */
  readonly identifier: StoredIdentifier;
}

/** The log as it stands after recovery, and what must still be put right on disk. */
export interface RecoveredWal {
  /** One a slot of the ring. */
  readonly verdicts: readonly SlotVerdict[];
  /**
   * What consensus gets, in op order: clean slots, and faulty ones above the checkpoint, or that
   * may have held an op above it.
   */
  readonly slots: readonly RecoveredSlot[];
  /** Op of a sound prepare beyond checkpoint + N: the superblock is older than the log. Or null. */
  readonly beyond: Op | null;
}

/** Inputs of {@link recoverWal}: one scan and one identifier a slot. */
export interface RecoverWalInput {
  readonly geometry: WalGeometry;
  readonly superblock: SuperblockState;
  readonly scans: readonly SlotFacts[];
  readonly identifiers: readonly Identifier[];
  /**
   * By slot: both copies of its identifier's sector are sound. With one damaged, the other may
   * speak of an earlier time.
   */
  readonly identifiersSure: readonly boolean[];
}

function identifierInput(
  scan: SlotFacts,
  identifier: Identifier,
  isVoid: boolean,
): DecisionInput["identifier"] {
  if (identifier.state === "absent") return "absent";
  if (identifier.state === "unreadable") return "unreadable";
  if (isVoid) return "void";
  if (scan.kind === "blank") return "newer";
  const op = scan.kind === "whole" ? scan.header.op : scan.op;
  if (op === null || identifier.op > op) return "newer";
  if (identifier.op < op) return "older";
  if (scan.kind !== "whole" || identifier.header === null) return "same";
  return identifier.header.checksum === scan.header.checksum ? "same" : "differs";
}

/** True when an entry must not be trusted: marked so before, or contradicted now (A5a 4). */
function isVoidIdentifier(identifier: Identifier, superblock: SuperblockState): boolean {
  if (identifier.state === "void") return true;
  if (identifier.state === "absent" || identifier.state === "unreadable") return false;
  return identifier.header !== null && judgeHeader(identifier.header, superblock) === "void";
}

/** Judges the whole log, identifiers against the superblock first (A5a 4). */
export function recoverWal(input: RecoverWalInput): RecoveredWal {
  const { geometry, superblock } = input;
  assert(input.scans.length === geometry.slotsCount, "JRN-05: one scan a slot");
  assert(input.identifiers.length === geometry.slotsCount, "JRN-05: one identifier a slot");
  const listed = new Set<number>(superblock.faultyOps);
  const verdicts: SlotVerdict[] = [];
  const slots: RecoveredSlot[] = [];
  let beyond: Op | null = null;
  for (let slot = 0; slot < geometry.slotsCount; slot += 1) {
    const scan = input.scans[slot];
    const identifier = input.identifiers[slot];
    assert(scan !== undefined && identifier !== undefined, "JRN-05: one scan a slot");
    const verdict = judgeSlot(input, listed, slot, scan, identifier);
    verdicts.push(verdict);
    if (verdict.state === "empty") continue;
    // What the checkpoint has reached needs no prepare, so its loss is nobody's concern.
    const old = verdict.state === "faulty" && verdict.op <= superblock.checkpoint.op;
    if (old && !verdict.doubtful) continue;
    slots.push({ op: verdict.op, state: verdict.state, header: verdict.header });
    const last = superblock.checkpoint.op + geometry.slotsCount;
    if (verdict.op > last) beyond = verdict.op;
  }
  slots.sort((a, b) => a.op - b.op);
  return { verdicts, slots, beyond };
}

function judgeSlot(
  input: RecoverWalInput,
  listed: ReadonlySet<number>,
  slot: number,
  scan: SlotFacts,
  identifier: Identifier,
): SlotVerdict {
  const { geometry, superblock } = input;
  const isVoid = isVoidIdentifier(identifier, superblock);
  const live = liveOpOf(slot, superblock.checkpoint.op, geometry);
  const row = decide({
    prepare: scan.kind,
    judgement: scan.kind === "whole" ? judgement(scan.header, identifier, superblock) : "none",
    identifier: identifierInput(scan, identifier, isVoid),
    listed: listed.has(live) ? "listed" : "unlisted",
  });
  const trusted = isVoid ? identifierAbsent : identifier;
  const vanished = scan.kind === "blank" && identifier.state !== "absent";
  const denies = row.state === "empty" && (scan.kind === "invalid" || vanished);
  assert(!denies, "JRN-10: what may have been acknowledged is not denied");
  if (row.state === "faulty") {
    const sure = input.identifiersSure[slot] === true && !listed.has(live);
    const faulty = faultyVerdict({ slot, row, live, scan, identifier: trusted, sure, superblock });
    // The mark stays: a read that fails only once must not bring the dropped prepare back.
    return row.repair === "void" ? { ...faulty, identifier: voided(scan, identifier) } : faulty;
  }
  if (row.state === "clean") {
    assert(scan.kind === "whole", "JRN-06: a clean slot has its whole prepare");
    const { header } = scan;
    const entry: StoredIdentifier = { state: "present", op: header.op, header };
    const { op } = header;
    return { slot, row, state: "clean", op, header, doubtful: false, identifier: entry };
  }
  const entry = row.repair === "void" ? voided(scan, identifier) : stored(identifier);
  const op = opFrom(0);
  return { slot, row, state: "empty", op, header: null, doubtful: false, identifier: entry };
}

/** A prepare that was marked void stays void, whatever a later superblock says. */
function judgement(
  header: PrepareHeader,
  identifier: Identifier,
  superblock: SuperblockState,
): DecisionInput["judgement"] {
  const dropped = identifier.state === "void" && identifier.header.checksum === header.checksum;
  const judged = judgeHeader(header, superblock);
  // Only the superblock naming this very header calls a dropped one back.
  if (dropped && !superblock.viewHeaders.some((named) => named.checksum === header.checksum)) {
    return "void";
  }
  return judged;
}

function stored(identifier: Identifier): StoredIdentifier {
  return identifier.state === "unreadable" ? identifierAbsent : identifier;
}

function voided(scan: SlotFacts, identifier: Identifier): StoredIdentifier {
  if (scan.kind === "whole") return { state: "void", op: scan.header.op, header: scan.header };
  if (identifier.state === "absent" || identifier.state === "unreadable") return identifierAbsent;
  if (identifier.header === null) return identifierAbsent;
  return { state: "void", op: identifier.op, header: identifier.header };
}

/**
 * A faulty slot names the op that was durable in it: the newest that anything sound names. When
 * all that is at or below the checkpoint, damaged units may have held the live op, so that one
 * counts as lost: never nack what may have been acknowledged. A sure identifier of the old op is
 * kept beside that doubt (A5a 8): it says how far above the head such an op can lie at most.
 */
function faultyVerdict(facts: {
  readonly slot: number;
  readonly row: DecisionRow;
  readonly live: Op;
  readonly scan: SlotFacts;
  readonly identifier: Identifier;
  readonly sure: boolean;
  readonly superblock: SuperblockState;
}): SlotVerdict {
  const { slot, row, live, scan, identifier, sure, superblock } = facts;
  let op = 0;
  let header: PrepareHeader | null = null;
  if (identifier.state === "present" || identifier.state === "faulty") {
    op = identifier.op;
    header = identifier.header;
  }
  if (scan.kind === "invalid" && scan.op !== null && scan.op >= op) {
    const own = scan.header !== null && judgeHeader(scan.header, superblock) !== "void";
    if (scan.op > op || header === null) header = own ? scan.header : null;
    op = scan.op;
  }
  if (scan.kind === "mixed" && scan.op > op) {
    op = scan.op;
    header = null;
  }
  const silent = scan.kind === "invalid" || scan.kind === "blank";
  const unknown = op < live && (silent || identifier.state === "unreadable");
  const bounded = sure && namedBy(identifier) === op && header !== null;
  const doubtful = unknown && bounded;
  if (op === 0 || (unknown && !bounded) || row.id.startsWith("listed")) {
    op = live;
    header = null;
  }
  const named = opFrom(op);
  const entry: StoredIdentifier = { state: "faulty", op: named, header };
  return { slot, row, state: "faulty", op: named, header, doubtful, identifier: entry };
}

function namedBy(identifier: Identifier): number {
  return identifier.state === "present" || identifier.state === "faulty" ? identifier.op : -1;
}
