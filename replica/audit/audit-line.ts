import { textFromUtf8, utf8From } from "#replica/base/text.ts";

/** Bytes of a line at most. */
export const auditLineBytesMax = 4096;
/** Facts of one line at most. */
export const auditFactsMax = 32;

/** What a fact of a line may be. */
export type AuditFact = string | number | boolean | null;

/** One thing that was done to a shard, or that it did. */
export interface AuditLine {
  /** What happened, as a word: `view_change`, `transfer`, `certificate` … */
  readonly kind: string;
  /** Who says so: `replica/0`, `operator`. */
  readonly by: string;
  /** Wall clock of who says so, microseconds since 1970; the entry has the log's own time. */
  readonly atUs: number;
  /** True when the log took it late: the shard had no quorum, or who says so was cut off. */
  readonly late: boolean;
  readonly facts: Readonly<Record<string, AuditFact>>;
}

const wordForm = /^[a-z][a-z0-9_]{0,39}$/;
const byForm = /^[a-z][a-z0-9._/-]{0,63}$/;

function factsFrom(value: unknown): Readonly<Record<string, AuditFact>> | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const facts = Object.entries(value);
  if (facts.length > auditFactsMax) return null;
  for (const [name, fact] of facts) {
    const plain = fact === null || ["string", "number", "boolean"].includes(typeof fact);
    if (!wordForm.test(name) || !plain) return null;
    if (typeof fact === "number" && !Number.isFinite(fact)) return null;
  }
  return Object.fromEntries(facts) as Readonly<Record<string, AuditFact>>;
}

/** A line of its members, checked; null when they make none. */
export function auditLine(
  value: {
    readonly [Member in keyof AuditLine]: unknown;
  },
): AuditLine | null {
  const { kind, by, atUs, late } = value;
  const facts = factsFrom(value.facts);
  if (typeof kind !== "string" || !wordForm.test(kind) || facts === null) return null;
  if (typeof by !== "string" || !byForm.test(by) || typeof late !== "boolean") return null;
  if (typeof atUs !== "number" || !Number.isSafeInteger(atUs) || atUs < 0) return null;
  const line = { kind, by, atUs, late, facts };
  return encodeAuditLine(line).length <= auditLineBytesMax ? line : null;
}

/** Body of the line's entry: JSON in one spelling. */
export function encodeAuditLine({ kind, by, atUs, late, facts }: AuditLine): Uint8Array {
  return utf8From(JSON.stringify({ v: 1, kind, by, at: atUs, late, facts }));
}

/** Reads the body of an entry; null when it is no line. Never throws. */
export function decodeAuditLine(bytes: Uint8Array): AuditLine | null {
  const text = bytes.length > auditLineBytesMax ? null : textFromUtf8(bytes);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    const found = new Map<string, unknown>(Object.entries(value));
    if (found.get("v") !== 1) return null;
    const line = auditLine({
      kind: found.get("kind"),
      by: found.get("by"),
      atUs: found.get("at"),
      late: found.get("late"),
      facts: found.get("facts"),
    });
    return line !== null && textFromUtf8(encodeAuditLine(line)) === text ? line : null;
  } catch {
    return null;
  }
}
