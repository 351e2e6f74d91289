import {
  type Checksum,
  checksumFrom,
  checksumZero,
  incarnationFrom,
  type Op,
  opFrom,
  replicaFrom,
  timestampFrom,
  type View,
  viewFrom,
} from "#replica/base/brands.ts";
import { checkpointIdOf, nodeSealer } from "#replica/crypto/node-sealer.ts";
import { privateKeyFromSeed } from "#replica/crypto/ed25519.ts";
import { crc32, sha256 } from "#replica/crypto/hash.ts";
import type { WalGeometry } from "#replica/journal/geometry.ts";
import { type JournalTools, journalToolsFrom } from "#replica/journal/journal-tools.ts";
import {
  type FormatOptions,
  genesisCheckpoint,
  genesisRoot,
} from "#replica/storage/format-storage.ts";
import type { StorageTools } from "#replica/storage/storage-tools.ts";
import { frameScopeFrom } from "#replica/wire/frame.ts";
import type { Prepare, PrepareHeader } from "#replica/wire/prepare.ts";
import { prepareChecksummedBytes } from "#replica/wire/prepare-codec.ts";
import type { SuperblockState, VolumeIdentity } from "#replica/wire/superblock.ts";

/** Who the volumes of these tests belong to. */
export const testCluster = "00112233445566778899aabbccddeeff";
/** Their shard. */
export const testShard = "lobby";
/** A ring small enough to damage every byte of it. */
export const smallGeometry: WalGeometry = { slotsCount: 20, slotBytes: 4 * 4096 };

const scope = frameScopeFrom({ cluster: testCluster, shard: testShard, hash: sha256 });
/** Codec and checksums of that shard. */
export const testTools: JournalTools = journalToolsFrom(scope, crc32);
const sealer = nodeSealer({
  privateKey: privateKeyFromSeed(new Uint8Array(32).fill(1)),
  checksummedBytes: (header: PrepareHeader) => prepareChecksummedBytes(scope, header),
});
const formationId = checksumFrom("cd".repeat(32));
/** Op 0 of the tests' shard. */
export const testRoot: Prepare = genesisRoot(sealer.seal, formationId, new Uint8Array(0));

/** Identity of a volume of replica 0. */
export function testIdentity(slotsCount: number): VolumeIdentity {
  return {
    cluster: testCluster,
    shard: testShard,
    replica: replicaFrom(0),
    incarnation: incarnationFrom("0a".repeat(16)),
    formationId,
    walSlotsCount: slotsCount,
  };
}

/** What genesis is told. */
export function testFormat(tools: StorageTools, slotsCount: number): FormatOptions {
  const { checksum } = testRoot.header;
  const id = checkpointIdOf(checksumZero, checksumZero, opFrom(0), checksum);
  const member = { incarnation: incarnationFrom("0a".repeat(16)), publicKey: "ef".repeat(32) };
  return {
    ...tools,
    identity: testIdentity(slotsCount),
    members: [0, 1, 2].map((replica) => ({ replica: replicaFrom(replica), ...member })),
    slots: { first: 0, count: 4096, epoch: 1 },
    root: testRoot,
    checkpoint: genesisCheckpoint(testRoot, id, { root: checksumZero, bytes: 0 }),
    recovering: false,
    voteFloor: viewFrom(0),
  };
}

/** A prepare with a body of that size whose content follows from op, view and size. */
export function testPrepare(
  op: number,
  options: { readonly view?: number; readonly bytes?: number; readonly parent?: Checksum } = {},
): Prepare {
  const { view = 0, bytes = 500, parent = checksumZero } = options;
  const body = new Uint8Array(bytes).map((_, i) => (op * 7 + view * 13 + i) & 0xff);
  return sealer.seal(
    {
      kind: "requests",
      op: opFrom(op),
      view: viewFrom(view),
      author: replicaFrom(view % 3),
      incarnation: incarnationFrom("0a".repeat(16)),
      parent,
      timestampUs: timestampFrom(op),
      commitMax: opFrom(Math.max(0, op - 1)),
      quorumCheckpointOp: opFrom(0),
      checkpointId: checksumZero,
      machineVersion: 1,
      requestsCount: 0,
    },
    body,
  );
}

/** A later superblock with some fields changed. */
export function nextSuperblock(
  state: SuperblockState,
  change: {
    readonly view?: number;
    readonly logView?: number;
    readonly viewHeaders?: readonly PrepareHeader[];
    readonly checkpointOp?: number;
    readonly faultyOps?: readonly Op[];
  },
): SuperblockState {
  const view: View = change.view === undefined ? state.view : viewFrom(change.view);
  const logView: View = change.logView === undefined ? state.logView : viewFrom(change.logView);
  const op = change.checkpointOp === undefined ? state.checkpoint.op : opFrom(change.checkpointOp);
  // A later view has headers of its own, which a test says or does without.
  const same = change.view === undefined && change.logView === undefined;
  const kept = same ? state.viewHeaders : [];
  return {
    ...state,
    sequence: state.sequence + 1,
    view,
    logView,
    viewHeaders: change.viewHeaders ?? kept,
    faultyOps: change.faultyOps ?? state.faultyOps,
    checkpoint: { ...state.checkpoint, op },
  };
}
