import type { KeyTrust } from "./key-trust.ts";
import { base64Bytes, demand, ProofError, rootOver, verifyCheckpoint } from "./receipt.ts";
import type { ProvenCheckpoint } from "./receipt.ts";

/** A head of a shard's log that was verified once; plain data, to be stored. */
export interface PinnedCheckpoint {
  readonly origin: string;
  readonly size: number;
  /** Base64. */
  readonly root: string;
}

/**
 * The shard's history is not the one that was pinned: both checkpoints are signed, so together they
 * prove it. Keep them.
 */
export class HistoryFork extends ProofError {
  readonly pinned: PinnedCheckpoint;
  /** The signed note that does not extend it. */
  readonly note: string;

  constructor(pinned: PinnedCheckpoint, note: string, why: string) {
    super(`The history was forked: ${why}`);
    this.pinned = pinned;
    this.note = note;
  }
}

/** Where a pin asks: the newest signed note, the proof that it extends a size, the keys of now. */
export interface LogSource {
  checkpoint(): Promise<string>;
  consistency(from: number): Promise<string>;
  keys(): Promise<string>;
}

/**
 * The last verified head of one shard's log. Each later one must extend it: a log that was
 * rewritten cannot, and is refused with {@link HistoryFork}, for ever.
 */
export class LogPin {
  private readonly keys: string | KeyTrust;
  private readonly changed: (pinned: PinnedCheckpoint) => void;
  private last: PinnedCheckpoint | null;

  /**
   * `keys`: verifier keys that are trusted, one a line, as they are; or the trust that follows
   * their replacements. `pinned`: what was stored before, or null. `changed`: store it.
   */
  constructor(
    keys: string | KeyTrust,
    pinned: PinnedCheckpoint | null = null,
    changed: (pinned: PinnedCheckpoint) => void = () => undefined,
  ) {
    this.keys = keys;
    this.last = pinned;
    this.changed = changed;
  }

  /** What is pinned; null before the first. */
  get pinned(): PinnedCheckpoint | null {
    return this.last;
  }

  /** Verifies the newest head and that it extends what is pinned. Throws {@link ProofError}. */
  async advance(source: LogSource): Promise<ProvenCheckpoint> {
    const note = await source.checkpoint();
    const newer = await this.verify(note, source);
    const { last } = this;
    if (last !== null) {
      demand(newer.origin === last.origin, "The checkpoint is of another log.");
      if (newer.size < last.size) {
        // An older replica may answer: nothing is proved, nothing is refuted.
        return newer;
      }
      if (newer.size === last.size) {
        if (newer.root === last.root) return newer;
        throw new HistoryFork(last, note, "another root at the same size.");
      }
      return await this.extend(last, source);
    }
    this.pin(newer);
    return newer;
  }

  private async verify(note: string, source: LogSource): Promise<ProvenCheckpoint> {
    const { keys } = this;
    if (typeof keys === "string") return await verifyCheckpoint(note, keys);
    return await keys.checkpoint(note, () => source.keys());
  }

  private async extend(last: PinnedCheckpoint, source: LogSource): Promise<ProvenCheckpoint> {
    const proof = await source.consistency(last.size);
    const split = proof.indexOf("\n\n");
    const [first, ...hashes] = proof.slice(0, split).split("\n");
    demand(split > 0 && first === `old ${last.size}`, "This is no proof of consistency.");
    const note = proof.slice(split + 2);
    const newer = await this.verify(note, source);
    demand(newer.origin === last.origin, "The checkpoint is of another log.");
    const roots = [base64Bytes(last.root), base64Bytes(newer.root)] as const;
    const sizes = [last.size, newer.size] as const;
    if (!(await extendsTree(sizes, roots, hashes.map(base64Bytes)))) {
      throw new HistoryFork(last, note, "the newer head does not extend the pinned one.");
    }
    this.pin(newer);
    return newer;
  }

  private pin({ origin, size, root }: ProvenCheckpoint): void {
    // Two checks at once may end in either order: both extend what was pinned, the larger stays.
    if (this.last !== null && size <= this.last.size) return;
    this.last = { origin, size, root };
    this.changed(this.last);
  }
}

/** True when a tree of sizes[1] leaves extends one of sizes[0]: RFC 9162 section 2.1.4.2. */
export async function extendsTree(
  sizes: readonly [older: number, newer: number],
  roots: readonly [older: Uint8Array, newer: Uint8Array],
  proof: readonly Uint8Array[],
): Promise<boolean> {
  const [older, newer] = sizes;
  const same = (a: Uint8Array, b: Uint8Array) => rootOver.equal(a, b);
  if (older > newer) return false;
  if (older === newer) return proof.length === 0 && same(roots[0], roots[1]);
  if (older === 0) return proof.length === 0;
  let node = older - 1;
  let last = newer - 1;
  while (node % 2 === 1) {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  // A whole older tree is a node of the newer one: its root is the first hash.
  const path = node === 0 ? [roots[0], ...proof] : [...proof];
  const first = path.shift();
  if (first === undefined) return false;
  let [left, right] = [first, first];
  for (const hash of path) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      left = await rootOver.node(hash, left);
      right = await rootOver.node(hash, right);
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2);
        last = Math.floor(last / 2);
      }
    } else right = await rootOver.node(right, hash);
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && same(left, roots[0]) && same(right, roots[1]);
}
