import type { History, LookRecord, PostRecord, SeenEntry } from "./history.ts";

/** Violations of one room that are listed at most; one is enough to fail. */
const violationsMax = 20;

/**
 * The direct check: sorts by seq and compares. Per room: the final log is dense, holds no key
 * twice and nothing that nobody posted, holds every acknowledged post at its seq, and its order
 * agrees with real time; every look while faults went on showed a part of that very log, and no
 * final read misses what was acknowledged before it began. Empty = all promises were kept.
 */
export function checkHistory(history: History): readonly string[] {
  const found = [...history.oddities];
  for (const room of history.rooms) {
    const posts = history.posts.filter((post) => post.room === room);
    const looks = history.looks.filter((look) => look.room === room);
    found.push(...checkRoom(room, posts, looks).slice(0, violationsMax));
  }
  return found;
}

function checkRoom(
  room: string,
  posts: readonly PostRecord[],
  looks: readonly LookRecord[],
): readonly string[] {
  const reads = looks.filter((look) => look.kind === "read");
  const final = reads.reduce<LookRecord | null>(
    (last, read) => (last === null || read.returnMs > last.returnMs ? read : last),
    null,
  );
  if (final === null) return [`${room}: no final read`];
  const byKey = new Map(posts.map((post) => [post.key, post]));
  return [
    ...checkLog(final.entries, byKey),
    ...checkAcknowledged(final.entries, posts),
    ...checkRealTime(final.entries, byKey),
    ...looks.flatMap((look) => checkLook(look, final.entries, byKey)),
    ...reads.flatMap((read) => checkFresh(read, posts)),
  ].map((what) => `${room}: ${what}`);
}

/** Dense, nothing twice, nothing invented. */
function checkLog(
  entries: readonly SeenEntry[],
  byKey: ReadonlyMap<string, PostRecord>,
): readonly string[] {
  const found: string[] = [];
  const seen = new Map<string, number>();
  for (const [index, { seq, key, sender, body }] of entries.entries()) {
    if (seq !== index + 1) found.push(`seq ${seq} stands at place ${index + 1}`);
    const before = seen.get(key);
    if (before !== undefined) found.push(`key ${key} stands at ${before} and at ${seq}`);
    seen.set(key, seq);
    const post = byKey.get(key);
    if (post === undefined) found.push(`seq ${seq} with key ${key} is nobody's post`);
    else if (post.sender !== sender || post.body !== body) {
      found.push(`seq ${seq}: ${sender} "${body}" was posted as ${post.sender} "${post.body}"`);
    }
  }
  return found;
}

function checkAcknowledged(
  entries: readonly SeenEntry[],
  posts: readonly PostRecord[],
): readonly string[] {
  const found: string[] = [];
  const owners = new Map<number, string>();
  for (const { key, seq } of posts) {
    if (seq === null) continue;
    const stands = entries[seq - 1]?.key;
    if (stands !== key) found.push(`${key} was acknowledged at ${seq}, there is ${stands}`);
    const other = owners.get(seq);
    if (other !== undefined) found.push(`seq ${seq} was acknowledged to ${other} and to ${key}`);
    owners.set(seq, key);
  }
  return found;
}

/** Nothing that was answered before another was asked stands behind it. */
function checkRealTime(
  entries: readonly SeenEntry[],
  byKey: ReadonlyMap<string, PostRecord>,
): readonly string[] {
  const found: string[] = [];
  let earliest: PostRecord | null = null;
  for (const { seq, key } of [...entries].reverse()) {
    const post = byKey.get(key);
    if (post === undefined) continue;
    if (earliest !== null && earliest.returnMs !== null && earliest.returnMs < post.callMs) {
      found.push(`seq ${seq} was asked after seq ${earliest.seq} had been answered`);
    }
    const returnMs = post.returnMs ?? Number.POSITIVE_INFINITY;
    if (returnMs < (earliest?.returnMs ?? Number.POSITIVE_INFINITY)) earliest = post;
  }
  return found;
}

/** A look shows entries of the final log, each posted before the look ended. */
function checkLook(
  look: LookRecord,
  final: readonly SeenEntry[],
  byKey: ReadonlyMap<string, PostRecord>,
): readonly string[] {
  const found: string[] = [];
  if (look.head > final.length) found.push(`a ${look.kind} showed head ${look.head}, lost later`);
  let previous: number | null = null;
  for (const { seq, key } of look.entries) {
    const stands = final[seq - 1]?.key;
    if (stands !== key) found.push(`a ${look.kind} showed ${key} at ${seq}, now ${stands}`);
    if (previous !== null && seq !== previous + 1) {
      found.push(`a ${look.kind} showed ${seq} after ${previous}`);
    }
    previous = seq;
    const post = byKey.get(key);
    if (post !== undefined && post.callMs > look.returnMs) {
      found.push(`a ${look.kind} showed ${seq} before it was posted`);
    }
  }
  return found;
}

/** A final read shows everything that had been acknowledged when it began. */
function checkFresh(read: LookRecord, posts: readonly PostRecord[]): readonly string[] {
  const shown = new Set(read.entries.map((entry) => entry.key));
  const missed = posts.filter(
    (post) => post.returnMs !== null && post.returnMs < read.callMs && !shown.has(post.key),
  );
  return missed.map((post) => `a read missed ${post.key}, acknowledged before at ${post.seq}`);
}
