import { assert } from "#replica/base/assert.ts";

/** What the units of a slot say (SlotScan, its body opened and compared with its checksum). */
export const prepareInputs = ["blank", "whole", "mixed", "invalid"] as const;
/** How the superblock judges the prepare's header (judgeHeader); "none": no whole prepare. */
export const judgementInputs = ["none", "called", "free", "void"] as const;
/**
 * The slot's identifier beside the newest write found in the slot: no entry, an entry that the
 * superblock contradicts, of an older op, of this very prepare, of this op with another header, of
 * a newer op (also: any entry where the slot names no op), or damaged in both copies. A void
 * entry proves no more than an older one: identifiers lag, and when the newest copy of a sector is
 * damaged the other one speaks of an earlier time.
 */
export const identifierInputs = [
  "absent",
  "void",
  "older",
  "same",
  "differs",
  "newer",
  "unreadable",
] as const;
/** Whether the superblock's faultyOps name the op that this slot must hold. */
export const listedInputs = ["unlisted", "listed"] as const;

/** Inputs of the decision for one slot. */
export interface DecisionInput {
  readonly prepare: (typeof prepareInputs)[number];
  readonly judgement: (typeof judgementInputs)[number];
  readonly identifier: (typeof identifierInputs)[number];
  readonly listed: (typeof listedInputs)[number];
}

/**
 * One row. `clean`: the body is readable. `empty`: nothing was acknowledged here, may nack.
 * `faulty`: neither present nor nack. `identifier`: what the identifiers ring must say afterwards:
 * `keep` it, `finish` it with the prepare's header, mark it `faulty`, or mark the dropped header
 * `void`, so that a later superblock cannot call it back.
 */
export interface DecisionRow {
  readonly id: string;
  readonly prepare: readonly DecisionInput["prepare"][];
  readonly judgement: readonly DecisionInput["judgement"][];
  readonly identifier: readonly DecisionInput["identifier"][];
  readonly listed: readonly DecisionInput["listed"][];
  readonly state: "clean" | "empty" | "faulty";
  readonly repair: "keep" | "finish" | "faulty" | "void";
  readonly because: string;
}

const any = listedInputs;
const none = ["none"] as const;
const sound = ["called", "free"] as const;

/** Every possible input matches exactly one row; each says why. */
export const decisionRows: readonly DecisionRow[] = [
  {
    id: "never-written",
    prepare: ["blank"],
    judgement: none,
    identifier: ["absent"],
    listed: ["unlisted"],
    state: "empty",
    repair: "keep",
    because: "zeros as formatting left them, and nothing names an op here",
  },
  {
    id: "blank-void",
    prepare: ["blank"],
    judgement: none,
    identifier: ["void"],
    listed: any,
    state: "faulty",
    repair: "void",
    because: "an op was written here and is gone: a newer one may have replaced the dropped one",
  },
  {
    id: "blank-lost",
    prepare: ["blank"],
    judgement: none,
    identifier: ["older", "same", "differs", "newer", "unreadable"],
    listed: any,
    state: "faulty",
    repair: "faulty",
    because: "an op was durable here and its units are gone",
  },
  {
    id: "whole-same",
    prepare: ["whole"],
    judgement: sound,
    identifier: ["same"],
    listed: any,
    state: "clean",
    repair: "keep",
    because: "all units, one write, the body's checksum and the identifier agree",
  },
  {
    id: "whole-ahead",
    prepare: ["whole"],
    judgement: sound,
    identifier: ["absent", "older", "unreadable"],
    listed: any,
    state: "clean",
    repair: "finish",
    because: "identifiers follow lazily: this one is behind",
  },
  {
    id: "whole-called",
    prepare: ["whole"],
    judgement: ["called"],
    identifier: ["void"],
    listed: any,
    state: "clean",
    repair: "finish",
    because: "the identifier was dropped, and this is what the selected log calls for",
  },
  {
    id: "whole-not-called",
    prepare: ["whole"],
    judgement: ["free"],
    identifier: ["void"],
    listed: any,
    state: "empty",
    repair: "void",
    because: "the identifier was dropped, and nothing calls for what is here",
  },
  {
    id: "whole-dropped",
    prepare: ["whole"],
    judgement: ["void"],
    identifier: ["absent", "void", "older"],
    listed: any,
    state: "empty",
    repair: "void",
    because: "a leftover of a truncation: the selected log contradicts it",
  },
  {
    id: "whole-dropped-unknown",
    prepare: ["whole"],
    judgement: ["void"],
    identifier: ["same", "differs", "newer", "unreadable"],
    listed: any,
    state: "faulty",
    repair: "faulty",
    because: "a leftover stands where another op was durable, or may have been",
  },
  {
    id: "whole-behind",
    prepare: ["whole"],
    judgement: sound,
    identifier: ["differs", "newer"],
    listed: any,
    state: "faulty",
    repair: "faulty",
    because: "another op was durable here: its write was lost or went elsewhere",
  },
  {
    id: "torn",
    prepare: ["mixed"],
    judgement: none,
    identifier: ["absent", "older"],
    listed: ["unlisted"],
    state: "empty",
    repair: "keep",
    because: "write ids are mixed: its sync never returned, so it was never acknowledged",
  },
  {
    id: "torn-void",
    prepare: ["mixed"],
    judgement: none,
    identifier: ["void"],
    listed: any,
    state: "empty",
    repair: "void",
    because: "torn over an op that the selected log had dropped",
  },
  {
    id: "torn-repair",
    prepare: ["mixed"],
    judgement: none,
    identifier: ["same", "differs", "newer", "unreadable"],
    listed: any,
    state: "faulty",
    repair: "faulty",
    because: "the op was durable here before: a torn repair, or a lost write",
  },
  {
    id: "listed-empty",
    prepare: ["blank"],
    judgement: none,
    identifier: ["absent"],
    listed: ["listed"],
    state: "faulty",
    repair: "faulty",
    because: "the superblock remembers that this slot was corrupt",
  },
  {
    id: "listed-torn",
    prepare: ["mixed"],
    judgement: none,
    identifier: ["absent", "older"],
    listed: ["listed"],
    state: "faulty",
    repair: "faulty",
    because: "the superblock remembers that this slot was corrupt: a torn repair",
  },
  {
    id: "corrupt",
    prepare: ["invalid"],
    judgement: none,
    identifier: ["absent", "older", "same", "differs", "newer", "unreadable"],
    listed: any,
    state: "faulty",
    repair: "faulty",
    because: "a unit is damaged or of another place: what it held may have been acknowledged",
  },
  {
    id: "corrupt-void",
    prepare: ["invalid"],
    judgement: none,
    identifier: ["void"],
    listed: any,
    state: "faulty",
    repair: "void",
    because: "the identifier may be behind: what was written over the dropped op is damaged",
  },
];

function matches(row: DecisionRow, input: DecisionInput): boolean {
  return (
    row.prepare.includes(input.prepare) &&
    row.judgement.includes(input.judgement) &&
    row.identifier.includes(input.identifier) &&
    row.listed.includes(input.listed)
  );
}

/** The row of an input. Asserts that there is exactly one. */
export function decide(input: DecisionInput): DecisionRow {
  const rows = decisionRows.filter((row) => matches(row, input));
  const row = rows[0];
  assert(row !== undefined, `JRN-04: no row for ${JSON.stringify(input)}`);
  assert(rows.length === 1, `JRN-04: two rows for ${JSON.stringify(input)}`);
  return row;
}
