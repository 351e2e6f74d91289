import type { ReplicaConfig } from "#replica/admin/replica-config.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import { replicaFrom } from "#replica/base/brands.ts";
import { headerBytes, walSlotBytes } from "#replica/base/limits.ts";
import { Prng } from "#replica/base/prng.ts";
import { crc32, sha256 } from "#replica/crypto/hash.ts";
import { type JournalTools, journalToolsFrom } from "#replica/journal/journal-tools.ts";
import { ChatMachine } from "#replica/machine/chat-machine.ts";
import { formatOptionsOf, machineGenesisOf, type Replacement } from "#replica/server/formation.ts";
import { shardOrigin } from "#replica/proof/checkpoint.ts";
import type { CosignMark } from "#replica/server/cosigning.ts";
import { genesisManifest } from "#replica/snapshot/manifest.ts";
import { formatStorage } from "#replica/storage/format-storage.ts";
import { frameAt, frameScopeFrom } from "#replica/wire/frame.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import { SectorDisk } from "./sector-disk.ts";
import { KekFile } from "./kek-file.ts";
import { type KeysCopy, SimKeys } from "./sim-keys.ts";

const cluster = "0f".repeat(16);
const shard = "sim";
const slots = { first: 0, count: 4096, epoch: 1 };
/** Rules of the machine in every run. */
export const keyRules = { windowHours: 24, max: 100_000 };
/** Timing of every run. */
export const timing = { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 };
/** Quorums of every run. */
export const quorum = { replication: 2, viewChange: 2 };

const request = {
  formationId: "cd".repeat(32),
  members: [0, 1, 2].map((replica) => {
    return { replica, incarnation: `${replica}a`.repeat(16), publicKey: `0${replica}`.repeat(32) };
  }),
  slots,
};

const scope = frameScopeFrom({ cluster, shard, hash: sha256 });
const genesis = machineGenesisOf(request.formationId, slots, keyRules);

/** Headers remembered at most; then all are forgotten. */
const rememberedMax = 4096;

/** The production codec of headers, which codes each header once only: runs are half as long. */
function rememberingTools(tools: JournalTools): JournalTools {
  const encoded = new WeakMap<PrepareHeader, Uint8Array>();
  const decoded = new Map<string, { bytes: Buffer; header: PrepareHeader | null }>();
  return {
    ...tools,
    encodeHeader(header, into, offset) {
      let bytes = encoded.get(header);
      if (bytes === undefined) {
        bytes = new Uint8Array(headerBytes);
        tools.encodeHeader(header, bytes, 0);
        encoded.set(header, bytes);
      }
      into.set(bytes, offset);
    },
    decodeHeader(bytes) {
      const whole = Buffer.from(bytes.buffer, bytes.byteOffset, headerBytes);
      const name = whole.toString("latin1", frameAt.checksum, frameAt.checksum + 32);
      const known = decoded.get(name);
      if (known?.bytes.equals(whole) === true) return known.header;
      const header = tools.decodeHeader(bytes);
      if (decoded.size >= rememberedMax) decoded.clear();
      decoded.set(name, { bytes: Buffer.from(whole), header });
      return header;
    },
  };
}

/** Public key of a replica as the shard was formed. */
export function firstPublicKey(replica: number): string {
  return request.members[replica]?.publicKey ?? "";
}

/** What every run's shard is: names, codecs, genesis. */
export const lab = {
  cluster,
  shard,
  origin: shardOrigin(cluster, shard, slots.epoch),
  scope,
  tools: rememberingTools(journalToolsFrom(scope, crc32)),
  genesis,
  genesisManifest: genesisManifest(ChatMachine.genesisState(genesis)),
} as const;

/** All that lies on a volume. */
export interface VolumeCopy {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly keys: KeysCopy;
  /** Newest head of the shard's log that was signed. */
  readonly mark: CosignMark | null;
}

/** A volume as formatting leaves it. */
export interface FormattedVolume extends VolumeCopy {
  readonly root: PrepareHeader;
}

function config(walSlots: number): ReplicaConfig {
  return {
    cluster,
    shard,
    fleet: "default",
    peers: [],
    listen: { host: "127.0.0.1" },
    walSizeBytes: walSlots * walSlotBytes,
    timing,
    quorum,
    keys: keyRules,
    files: { trust: "", kek: "", bootstrap: "" },
    log: { level: "error" },
  };
}

function format(
  replica: ReplicaIndex,
  walSlots: number,
  slotBytes: number,
  replacement: Replacement | null,
): FormattedVolume {
  const queue: (() => void)[] = [];
  const later = (run: () => void): unknown => queue.push(run);
  const disk = new SectorDisk({
    prng: new Prng(1),
    after: (_delayMs, run) => later(run),
    latencyMs: () => 0,
    writeFate: () => "ok",
    readFate: () => "ok",
    misdirect: () => -1,
    named: () => true,
    note: () => undefined,
  });
  // Secrets of runs count from 1.
  const keys = new SimKeys({
    replica,
    prng: new Prng(1),
    kekFile: new KekFile(),
    faults: { lostWrite: 0, powerCut: 0, wrongKek: 0, decayMs: Infinity },
    active: () => false,
    secret: () => 0,
    later: (_delayMs, run) => later(run),
    writeMs: 0,
    sealed: () => undefined,
    count: () => undefined,
  });
  keys.open([]);
  const poisoned = (why: string): never => {
    throw new Error(`format: ${why}`);
  };
  const tools = { ...lab.tools, disk, vault: keys.vault, later, poisoned, slotBytes };
  const shape = config(walSlots);
  const options = formatOptionsOf(request, shape, replica, lab.scope, tools, replacement);
  let formatted = false;
  formatStorage(options, (result) => {
    formatted = result.ok;
  });
  for (let run = queue.shift(); run !== undefined; run = queue.shift()) run();
  if (!formatted) throw new Error("sim: the volume was not formatted");
  const { header: root } = options.root;
  return { files: disk.snapshot(), keys: keys.snapshot(), mark: null, root };
}

const cache = new Map<string, FormattedVolume>();

/** The freshly formatted volume of a replica; made once a process. */
export function formattedVolume(
  replica: number,
  walSlots: number,
  slotBytes: number,
): FormattedVolume {
  const key = `${replica} ${walSlots} ${slotBytes}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = format(replicaFrom(replica), walSlots, slotBytes, null);
  cache.set(key, made);
  return made;
}

/** An empty volume formatted in the place of a lost one, as the operator has it done (rule A11). */
export function replacementVolume(
  replica: ReplicaIndex,
  geometry: { readonly walSlots: number; readonly slotBytes: number },
  replacement: Replacement,
): FormattedVolume {
  return format(replica, geometry.walSlots, geometry.slotBytes, replacement);
}
