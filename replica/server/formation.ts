import type { GenesisMember, GenesisRequest } from "#replica/admin/admin-calls.ts";
import type { ReplicaConfig } from "#replica/admin/replica-config.ts";
import {
  checksumFrom,
  checksumZero,
  incarnationFrom,
  opFrom,
  type ReplicaIndex,
  replicaFrom,
  viewFrom,
} from "#replica/base/brands.ts";
import { bytesFromHex } from "#replica/base/bytes.ts";
import { walSlotBytes } from "#replica/base/limits.ts";
import { utf8From } from "#replica/base/text.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { checkpointIdOf } from "#replica/crypto/node-sealer.ts";
import { ChatMachine } from "#replica/machine/chat-machine.ts";
import type { MachineGenesis } from "#replica/machine/port.ts";
import { genesisManifest, manifestRoot } from "#replica/snapshot/manifest.ts";
import {
  type FormatOptions,
  genesisCheckpoint,
  genesisRoot,
} from "#replica/storage/format-storage.ts";
import type { StorageTools } from "#replica/storage/storage-tools.ts";
import type { FrameScope } from "#replica/wire/frame.ts";
import { frameSignatureBytes } from "#replica/wire/frame.ts";
import { prepareChecksummedBytes } from "#replica/wire/prepare-codec.ts";
import type { Prepare, PrepareFields, PrepareHeader } from "#replica/wire/prepare.ts";
import type { Member, SuperblockState } from "#replica/wire/superblock.ts";

/** Rooms of one shard at most. */
export const roomsMax = 1_000_000;

/** What the machine of a shard starts from; equal on its three replicas. */
export function machineGenesisOf(
  formationId: string,
  slots: SuperblockState["slots"],
  keys: ReplicaConfig["keys"],
): MachineGenesis {
  return { slots, keys, roomsMax, seed: bytesFromHex(formationId).subarray(0, 16) };
}

/**
 * Views above the one that committed a replacement's no-ops in which the new volume has no vote:
 * the old one may have voted in w and w + 1, and planned transfers can jump two further (A11).
 */
export const voteFloorViews = 4;

/** What the primary said when a replacement was committed. */
export interface Replacement {
  readonly members: readonly Member[];
  /** Last of the no-ops after the REPLACE. */
  readonly learnOp: number;
  /** View in which it was committed. */
  readonly view: number;
}

/** A member as consensus has it; `replaceOp` absent or 0: by genesis. */
export function memberOf(member: GenesisMember & { readonly replaceOp?: number }): Member {
  const { publicKey, replaceOp } = member;
  const replica = replicaFrom(member.replica);
  const known = { replica, incarnation: incarnationFrom(member.incarnation), publicKey };
  return (replaceOp ?? 0) === 0 ? known : { ...known, replaceOp: opFrom(replaceOp ?? 0) };
}

/** Checksums without a signature: nobody is the author of a genesis. */
function sealUnsigned(scope: FrameScope, fields: PrepareFields, body: Uint8Array): Prepare {
  const signature = new Uint8Array(frameSignatureBytes);
  const unsealed: PrepareHeader = {
    ...fields,
    bodyBytes: body.length,
    bodyChecksum: sha256(body),
    checksum: checksumZero,
    signature,
  };
  const checksum = sha256(prepareChecksummedBytes(scope, unsealed));
  return { header: { ...unsealed, checksum }, body };
}

/**
 * What formatting a volume takes: root prepare and checkpoint 0 follow from the request and the
 * shard's configuration alone, so three replicas that got the same genesis hold the same op 0.
 */
export function formatOptionsOf(
  request: GenesisRequest,
  config: ReplicaConfig,
  replica: ReplicaIndex,
  scope: FrameScope,
  tools: StorageTools,
  replacement: Replacement | null = null,
): FormatOptions {
  const members = replacement?.members ?? request.members.map((member) => memberOf(member));
  const formationId = checksumFrom(request.formationId);
  const machine = machineGenesisOf(request.formationId, request.slots, config.keys);
  const manifest = genesisManifest(ChatMachine.genesisState(machine));
  const seal = (fields: PrepareFields, body: Uint8Array) => sealUnsigned(scope, fields, body);
  const root = genesisRoot(seal, formationId, utf8From(JSON.stringify(request)));
  const digest = manifestRoot(manifest, sha256);
  const id = checkpointIdOf(digest, checksumZero, opFrom(0), root.header.checksum);
  return {
    ...tools,
    identity: {
      cluster: config.cluster,
      shard: config.shard,
      replica,
      incarnation: members[replica]?.incarnation ?? incarnationFrom(""),
      formationId,
      walSlotsCount: config.walSizeBytes / walSlotBytes,
    },
    members,
    slots: request.slots,
    root,
    checkpoint: genesisCheckpoint(root, id, { root: digest, bytes: manifest.length }),
    recovering: replacement !== null,
    voteFloor: viewFrom(replacement === null ? 0 : replacement.view + voteFloorViews),
    learnOp: opFrom(replacement?.learnOp ?? 0),
  };
}
