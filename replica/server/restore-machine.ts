import { bytesConcat } from "#replica/base/bytes.ts";
import type { Result } from "#replica/base/result.ts";
import {
  decodeManifest,
  type Manifest,
  manifestBlocksCount,
  manifestRoot,
  manifestSegmentId,
} from "#replica/snapshot/manifest.ts";
import type { BlockAddress, Hash, RestoreSink } from "#replica/snapshot/port.ts";
import { Restorer } from "#replica/snapshot/restorer.ts";
import type { SegmentIndex } from "#replica/snapshot/segment-index.ts";
import type { CheckpointDescriptor } from "#replica/wire/peer-message.ts";
import type { Storage } from "#replica/wire/storage-port.ts";
import { readRuns } from "./read-runs.ts";

/**
 * What a process says whose fetched checkpoint cannot be read back: its superblock still names the
 * former one, so the next start mends that, removes what is left of this one and fetches it anew.
 */
export function unreadTarget(restored: Restored & { readonly ok: false }): string {
  if (restored.damage === null) return restored.message;
  const { block, segment } = restored.damage.address;
  const what = `segments/${segment} of a checkpoint that was just fetched is damaged`;
  return `${what} (block ${block}); start this replica again, it fetches the checkpoint anew.`;
}

/** What is loaded, from where, into what. */
export interface RestoreOptions {
  readonly storage: Storage;
  readonly hash: Hash;
  readonly checkpoint: CheckpointDescriptor;
  /** Manifest of op 0, which no disk holds: it follows from genesis. */
  readonly genesisManifest: Uint8Array;
  readonly sink: RestoreSink & {
    /** Why this build cannot go on from a manifest's state, as a sentence; null = it can. */
    restoreRefusal(state: Uint8Array): string | null;
  };
  /** Calls `run` once, after this call, when other events had their turn. */
  readonly later: (run: () => void) => void;
}

/** A machine that stands at its checkpoint, or why it does not. */
export type Restored =
  | {
      readonly ok: true;
      readonly manifest: Manifest;
      readonly segments: readonly SegmentIndex[];
      /** Encoded session table. */
      readonly sessions: Uint8Array;
    }
  /** `message`: a sentence for a person. */
  | {
      readonly ok: false;
      readonly message: string;
      /** What is damaged, and the manifest if that is not it; null: no block would help. */
      readonly damage: {
        readonly address: BlockAddress;
        readonly manifest: Manifest | null;
      } | null;
    };

/** A checkpoint that is kept beside the newest one, with its list of segments. */
export interface KeptCheckpoint {
  readonly checkpoint: CheckpointDescriptor;
  readonly manifest: Manifest;
}

type Blocks = readonly (Uint8Array | null)[];

function readAll(
  storage: Storage,
  addresses: readonly BlockAddress[],
  done: (blocks: Blocks) => void,
): void {
  const blocks = new Array<Uint8Array | null>(addresses.length).fill(null);
  let left = addresses.length;
  readRuns(storage, addresses, (index, block) => {
    blocks[index] = block;
    left -= 1;
    if (left === 0) done(blocks);
  });
}

/** Reads of a restore: those asked for next are under way while these are taken. */
class ReadAhead {
  private readonly storage: Storage;
  private addresses: readonly BlockAddress[] = [];
  private blocks: Blocks | null = null;
  private done: ((blocks: Blocks) => void) | null = null;

  constructor(storage: Storage) {
    this.storage = storage;
  }

  /** Reads these, or gives them once the read of before has them; then begins with `next`. */
  read(
    wanted: readonly BlockAddress[],
    next: readonly BlockAddress[],
    done: (blocks: Blocks) => void,
  ): void {
    if (wanted !== this.addresses) this.start(wanted);
    const take = (blocks: Blocks): void => {
      if (next.length > 0) this.start(next);
      done(blocks);
    };
    if (this.blocks === null) this.done = take;
    else take(this.blocks);
  }

  private start(addresses: readonly BlockAddress[]): void {
    this.addresses = addresses;
    this.blocks = null;
    readAll(this.storage, addresses, (blocks) => {
      if (this.addresses !== addresses) return;
      const { done } = this;
      this.blocks = blocks;
      this.done = null;
      done?.(blocks);
    });
  }
}

function manifestAddresses(checkpoint: CheckpointDescriptor): readonly BlockAddress[] {
  const segment = manifestSegmentId(checkpoint.op);
  const count = manifestBlocksCount(checkpoint.manifestBytes);
  return Array.from({ length: count }, (_, block) => ({ segment, block }));
}

/** Loads the blocks of a checkpoint into a machine, a few at a time. */
function restoreFrom(
  options: RestoreOptions,
  manifest: Manifest,
  done: (restored: Restored) => void,
): void {
  const { hash, sink, storage } = options;
  const restorer = new Restorer({ hash, manifest, sink });
  const reads = new ReadAhead(storage);
  const turn = (): void => {
    const step = restorer.next();
    if (step.kind === "done") {
      done({ ok: true, manifest, segments: step.segments, sessions: step.sessions });
      return;
    }
    if (step.kind === "more") {
      options.later(turn);
      return;
    }
    reads.read(step.addresses, step.ahead, (blocks) => {
      const damage = restorer.give(blocks)[0];
      if (damage === undefined) turn();
      else refuseDamaged(storage, damage.address, manifest, done);
    });
  };
  turn();
}

function refuseDamaged(
  storage: Storage,
  address: BlockAddress,
  manifest: Manifest | null,
  done: (restored: Restored) => void,
): void {
  const { segment, block } = address;
  storage.placeOfBlock(segment, block, (offset) => {
    const place = `segments/${segment} is damaged at byte ${offset} (block ${block})`;
    const message = `${place} and no peer gives a copy; replace this replica's volume.`;
    done({ ok: false, message, damage: { address, manifest } });
  });
}

/** Why a sound manifest cannot be used, as a sentence; null manifest: it is not genesis'. */
function refusalOf(manifest: Result<Manifest> | null, sink: RestoreOptions["sink"]): string | null {
  if (manifest === null) {
    return "The configuration's keys.windowHours or keys.max differ from genesis; restore them.";
  }
  if (!manifest.ok) return `This version cannot read the checkpoint: ${manifest.reason}.`;
  return sink.restoreRefusal(manifest.value.state);
}

/** Brings the machine to the state of a checkpoint that is on this disk. `done` is called once. */
export function restoreMachine(options: RestoreOptions, done: (restored: Restored) => void): void {
  const { checkpoint, hash, storage } = options;
  const damaged = (block: number): void => {
    refuseDamaged(storage, { segment: manifestSegmentId(checkpoint.op), block }, null, done);
  };
  const use = (bytes: Uint8Array): void => {
    const right = manifestRoot(bytes, hash) === checkpoint.root;
    if (!right && checkpoint.op > 0) {
      damaged(0);
      return;
    }
    const manifest = right ? decodeManifest(bytes) : null;
    const message = refusalOf(manifest, options.sink);
    if (message !== null) done({ ok: false, message, damage: null });
    else if (manifest?.ok === true) restoreFrom(options, manifest.value, done);
  };
  if (checkpoint.op === 0) {
    use(options.genesisManifest);
    return;
  }
  readAll(storage, manifestAddresses(checkpoint), (blocks) => {
    const missing = blocks.indexOf(null);
    const whole = blocks.filter((block) => block !== null);
    if (missing === -1) use(bytesConcat(whole));
    else damaged(missing);
  });
}

/**
 * Manifests of the checkpoints before the newest one, for peers that can sync to no other. One that
 * cannot be read is left out: this replica itself does not need it.
 */
export function readKept(
  options: Pick<RestoreOptions, "storage" | "hash" | "genesisManifest">,
  kept: readonly CheckpointDescriptor[],
  done: (found: readonly KeptCheckpoint[]) => void,
): void {
  const { storage, hash, genesisManifest } = options;
  const found: KeptCheckpoint[] = [];
  const next = (index: number): void => {
    const checkpoint = kept[index];
    if (checkpoint === undefined) {
      done(found);
      return;
    }
    const use = (bytes: Uint8Array | null): void => {
      const whole = bytes !== null && manifestRoot(bytes, hash) === checkpoint.root;
      const manifest = whole ? decodeManifest(bytes) : null;
      if (manifest?.ok === true) found.push({ checkpoint, manifest: manifest.value });
      next(index + 1);
    };
    if (checkpoint.op === 0) {
      use(genesisManifest);
      return;
    }
    readAll(storage, manifestAddresses(checkpoint), (blocks) => {
      const parts = blocks.filter((block) => block !== null);
      use(parts.length === blocks.length ? bytesConcat(parts) : null);
    });
  };
  next(0);
}
