import { bytesFromHex, hexFrom } from "#replica/base/bytes.ts";
import { auditLine } from "./audit-line.ts";
import type { AuditLine } from "./audit-line.ts";

/** Where lines that wait survive the end of the process. */
export interface AuditMemory {
  /** Records of an earlier life, one a line; what follows a torn one is ignored. */
  readonly records: string;
  /** Adds a record, one line; it must outlive a kill of the process from here on. */
  append(record: string): void;
  /** From here on these records, and no others, are remembered. */
  replace(records: string): void;
}

/** What a line was sent as: a retry, in whatever life, repeats it, so it is committed once. */
export interface SentAs {
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
  readonly late: boolean;
}

/** A line that waits. */
export interface WaitingLine {
  /** Its number, in the order of noting. */
  readonly n: number;
  readonly line: AuditLine;
  /** Chosen by who said it, so that saying it twice is harmless; null = made when first sent. */
  readonly key: Uint8Array | null;
  /** Set when it is first sent. */
  sent: SentAs | null;
}

function hexOrNull(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : hexFrom(bytes);
}

/** A line was noted. */
export function notedRecord({ n, line, key }: WaitingLine): string {
  return `${JSON.stringify({ n, line, key: hexOrNull(key) })}\n`;
}

/** A line is about to be sent for the first time. */
export function sentRecord(n: number, { key, salt, late }: SentAs): string {
  return `${JSON.stringify({ n, sent: { key: hexFrom(key), salt: hexFrom(salt), late } })}\n`;
}

/** Lines up to this one are in the log. */
export function settledRecord(n: number): string {
  return `${JSON.stringify({ settled: n })}\n`;
}

/** All that has to be remembered of the lines that wait. */
export function recordsOf(waiting: readonly WaitingLine[]): string {
  return waiting
    .map((each) => notedRecord(each) + (each.sent === null ? "" : sentRecord(each.n, each.sent)))
    .join("");
}

/** The lines that waited when the process ended, in order. Never throws. */
export function waitingFrom(records: string, linesMax: number): WaitingLine[] {
  const waiting: WaitingLine[] = [];
  // What stands behind the last newline was cut off in the middle.
  for (const text of records.split("\n").slice(0, -1)) {
    const record = membersFrom(text);
    if (record === null) break;
    const { n, settled, line, key, sent } = record;
    if (typeof settled === "number") {
      while (waiting[0] !== undefined && waiting[0].n <= settled) waiting.shift();
      continue;
    }
    const known = waiting.find((each) => each.n === n);
    if (known !== undefined) {
      known.sent = sentFrom(sent);
      continue;
    }
    const noted = lineFrom(line);
    const last = waiting.at(-1)?.n ?? 0;
    const fits = typeof n === "number" && Number.isSafeInteger(n) && n > last;
    if (noted === null || !fits || waiting.length >= linesMax) break;
    waiting.push({ n, line: noted, key: keyOf(key), sent: null });
  }
  return waiting;
}

type Members = Readonly<Partial<Record<"n" | "settled" | "line" | "key" | "sent", unknown>>>;

function membersFrom(text: string): Members | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Members) : null;
  } catch {
    return null;
  }
}

function lineFrom(value: unknown): AuditLine | null {
  if (typeof value !== "object" || value === null) return null;
  const { kind, by, atUs, late, facts } = value as Readonly<Record<keyof AuditLine, unknown>>;
  return auditLine({ kind, by, atUs, late, facts });
}

function sentFrom(value: unknown): SentAs | null {
  if (typeof value !== "object" || value === null) return null;
  const { key, salt, late } = value as Readonly<Record<keyof SentAs, unknown>>;
  const [keyBytes, saltBytes] = [keyOf(key), bytesOf(salt)];
  if (keyBytes === null || saltBytes === null || typeof late !== "boolean") return null;
  return { key: keyBytes, salt: saltBytes, late };
}

/** A UUIDv7: others no shard takes. */
function keyOf(value: unknown): Uint8Array | null {
  const bytes = bytesOf(value);
  const right = (bytes?.[6] ?? 0) >> 4 === 7 && (bytes?.[8] ?? 0) >> 6 === 2;
  return right ? bytes : null;
}

function bytesOf(value: unknown): Uint8Array | null {
  return typeof value === "string" && /^[0-9a-f]{32}$/.test(value) ? bytesFromHex(value) : null;
}
