// Lists of verifier keys: c2sp.org/signed-note, with the ops during which each was a member's.

/** A public key of a shard's log or of one of its cosigners. */
export interface VerifierKey {
  readonly name: string;
  /** Eight hex digits. */
  readonly id: string;
  /** 1: log; 4: cosigner. */
  readonly type: number;
  readonly publicKey: Uint8Array;
  /** As it stands in the list. */
  readonly line: string;
  /** Ops of the shard's log, both included, during which it was a member's. */
  readonly from: number;
  /** {@link untilNow} while it is one. */
  readonly to: number;
}

/** End of a time that has not ended. */
export const untilNow: number = Number.MAX_SAFE_INTEGER;
/** Members of a shard: each has a key as the log and one as cosigner. */
const membersMax = 3;

/** The key with that name and id, or undefined. */
export function keyIn(
  keys: readonly VerifierKey[],
  { name, id }: Pick<VerifierKey, "name" | "id">,
): VerifierKey | undefined {
  return keys.find((one) => one.name === name && one.id === id);
}

/**
 * The list that an application goes on with: `newer`, and former keys that it no longer names. Or
 * why it does not follow from `known`: replacements only end the time of a member and begin the
 * next one's, each at a later op than all before; nothing that was known is altered.
 */
export function successorOf(
  known: readonly VerifierKey[],
  newer: readonly VerifierKey[],
): readonly VerifierKey[] | string {
  const lastOp = Math.max(0, ...known.map(({ from, to }) => (to === untilNow ? from : to + 1)));
  const kept: VerifierKey[] = [];
  for (const key of known) {
    const now = keyIn(newer, key);
    if (now === undefined && key.to === untilNow) return `${key.line} is missing`;
    if (now === undefined) kept.push(key);
    else if (now.from !== key.from) return `the time of ${key.line} was altered`;
    else if (now.to !== key.to && (key.to !== untilNow || now.to < lastOp)) {
      return `the time of ${key.line} was altered`;
    }
  }
  for (const key of newer) {
    if (keyIn(known, key) !== undefined) continue;
    const place = known.some(({ name, type }) => name === key.name && type === key.type);
    if (!place) return `${key.line} has no place among the members`;
    if (key.from <= lastOp) return `${key.line} comes from before what is known`;
  }
  const all = distinct([...newer, ...kept]);
  return faultOfTimes(all) ?? all;
}

/** Each key once: a replica may name a former member twice. */
function distinct(keys: readonly VerifierKey[]): readonly VerifierKey[] {
  const lines = new Map(keys.map((key) => [`${key.from} ${key.to} ${key.line}`, key]));
  return [...lines.values()];
}

/** Why these keys are not those of three members, one after the other in each place; or null. */
function faultOfTimes(keys: readonly VerifierKey[]): string | null {
  const cosigners = keys.filter(({ type }) => type === 4);
  const logs = keys.filter(({ type }) => type === 1);
  const places = new Set(cosigners.map(({ name }) => name));
  if (places.size > membersMax || logs.length !== cosigners.length) return "it is not of members";
  for (const { publicKey, from, to, line } of cosigners) {
    const twins = logs.filter((log) => log.from === from && log.to === to);
    const own = twins.some((log) => log.publicKey.every((byte, i) => byte === publicKey[i]));
    if (!own) return `${line} does not sign as the log`;
  }
  for (const place of places) {
    const times = cosigners.filter(({ name }) => name === place).sort((a, b) => a.from - b.from);
    for (const [at, { to, line }] of times.entries()) {
      const next = times[at + 1];
      if (next === undefined ? to !== untilNow : to + 1 !== next.from) {
        return `nobody follows ${line}`;
      }
    }
  }
  return null;
}

/** The text of a list, with the time of each key. */
export function formatKeys(keys: readonly VerifierKey[]): string {
  return keys
    .map(({ line, from, to }) => `# ops ${from}-${to === untilNow ? "" : to}\n${line}\n`)
    .join("");
}
