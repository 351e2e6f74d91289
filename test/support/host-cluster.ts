import { ok } from "node:assert/strict";
import type { ReplicaConfig } from "#replica/admin/replica-config.ts";
import {
  clientIdFrom,
  incarnationFrom,
  type ReplicaIndex,
  replicaFrom,
} from "#replica/base/brands.ts";
import { walSlotBytes } from "#replica/base/limits.ts";
import { privateKeyFromSeed, publicKeyHex, signEd25519 } from "#replica/crypto/ed25519.ts";
import { crc32, sha256, sha256Bytes, sha256Into } from "#replica/crypto/hash.ts";
import { treeHashes } from "#replica/crypto/sha256-lanes.ts";
import { nodeSealer } from "#replica/crypto/node-sealer.ts";
import { nativeProofCrypto } from "#replica/crypto/proof-crypto.ts";
import { journalToolsFrom } from "#replica/journal/journal-tools.ts";
import { ChatMachine } from "#replica/machine/chat-machine.ts";
import { TreeHasher } from "#replica/machine/tree-hasher.ts";
import { machineVersions } from "#replica/machine/machine-state.ts";
import { shardOrigin } from "#replica/proof/checkpoint.ts";
import { askRekey, type RekeyOutcome } from "#replica/server/ask-rekey.ts";
import { askReplacement, type ReplaceOutcome } from "#replica/server/ask-replacement.ts";
import { askUpgrade, type UpgradeOutcome } from "#replica/server/ask-upgrade.ts";
import type { CosignMark } from "#replica/server/cosigning.ts";
import { formatOptionsOf, machineGenesisOf } from "#replica/server/formation.ts";
import type { HostPorts } from "#replica/server/host-options.ts";
import type { Host } from "#replica/server/host.ts";
import { openHost } from "#replica/server/open-host.ts";
import type { Opening } from "#replica/server/opening.ts";
import { genesisManifest } from "#replica/snapshot/manifest.ts";
import { formatStorage } from "#replica/storage/format-storage.ts";
import { openStorage } from "#replica/storage/open-storage.ts";
import type { ReplicaStorage } from "#replica/storage/replica-storage.ts";
import type { StorageTools } from "#replica/storage/storage-tools.ts";
import type { ServerMessage } from "#replica/wire/client-message.ts";
import { frameScopeFrom } from "#replica/wire/frame.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";
import type { Member } from "#replica/wire/superblock.ts";
import { prepareChecksummedBytes } from "#replica/wire/prepare-codec.ts";
import { CrashDisk } from "./crash-disk.ts";
import { FakeVault } from "./fake-vault.ts";

const cluster = "0f".repeat(16);
const shard = "lobby";
const scope = frameScopeFrom({ cluster, shard, hash: sha256 });
const slots = { first: 0, count: 4096, epoch: 1 };
/** A small ring: a checkpoint every twelve ops. */
const walSlotsCount = 40;
const slotBytes = 4 * 4096;
/** Slices of checkpoint work a virtual millisecond. */
const slicesPerMs = 2;
const startWallUs = 1_800_000_000_000_000;

function configOf(): ReplicaConfig {
  return {
    cluster,
    shard,
    fleet: "default",
    peers: [],
    listen: { host: "127.0.0.1" },
    walSizeBytes: walSlotsCount * walSlotBytes,
    timing: { heartbeatMs: 20, suspectMs: 100, viewChangeMs: 150 },
    quorum: { replication: 2, viewChange: 2 },
    keys: { windowHours: 24, max: 100_000 },
    files: { trust: "", kek: "", bootstrap: "" },
    log: { level: "error" },
  };
}

const keys = [0, 1, 2].map((index) => privateKeyFromSeed(new Uint8Array(32).fill(index + 1)));
/** By public half, those of genesis and the next ones of {@link HostCluster.rekey}. */
const keyOf = new Map(keys.map((key) => [publicKeyHex(key), key]));

/** The next key of a replica, one of many; its public half. */
function nextKey(replica: number, turn: number): string {
  const key = privateKeyFromSeed(new Uint8Array(32).fill(10 + 10 * turn + replica));
  keyOf.set(publicKeyHex(key), key);
  return publicKeyHex(key);
}
const request = {
  formationId: "cd".repeat(32),
  members: keys.map((key, replica) => {
    return { replica, incarnation: `${replica}a`.repeat(16), publicKey: publicKeyHex(key) };
  }),
  slots,
};

/** One host with its disk; null while it is down. */
interface Seat {
  readonly disk: CrashDisk;
  readonly vault: FakeVault;
  host: Host | null;
  /** What the host was opened on. */
  storage: ReplicaStorage | null;
  /** Mends the checkpoint before there is a host. */
  opening: Opening | null;
  /** Newest head of the shard's log that it signed: a small file of its own in production. */
  mark: CosignMark | null;
}

/**
 * Three of the very hosts that production runs, with production's storage, machine and consensus,
 * on virtual time, disks in memory and a network that takes one millisecond.
 */
export class HostCluster {
  nowMs = 0;
  private readonly hasher = new TreeHasher(treeHashes);
  readonly seats: readonly Seat[];
  /** What clients were sent: [replica, connection, message]. */
  readonly said: { replica: number; connection: number; message: ServerMessage }[] = [];
  /** What hosts raised. */
  readonly alarms: string[] = [];
  /** Frames for which this says false are lost. */
  passes: (from: number, to: number, message: PeerMessage) => boolean = () => true;
  /** What a frame becomes on its way. */
  alter: (from: number, to: number, message: PeerMessage) => PeerMessage = (_, __, m) => m;
  /** What hosts that ended themselves said; throws unless a test expects them. */
  onStop: (index: number, why: string) => void = (_, why) => ok(false, `stopped: ${why}`);
  /** Everything that was sent between hosts, for comparing runs. */
  readonly trace: string[] = [];
  /** By replica: how far its wall clock is off. */
  readonly wallOffsetsUs = [0, 0, 0];
  /** By replica: versions of the machine that its build runs when it is opened next. */
  readonly builds: { min: number; max: number }[] = [0, 1, 2].map(() => ({ ...machineVersions }));
  private lives = 0;
  private refused = false;
  private wire: { to: number; message: PeerMessage }[] = [];

  /** Formats three volumes and opens them. */
  constructor() {
    this.seats = [0, 1, 2].map(() => {
      return {
        disk: new CrashDisk(),
        vault: new FakeVault().boot(),
        host: null,
        storage: null,
        opening: null,
        mark: null,
      };
    });
    this.seats.forEach((seat, index) => {
      const tools = this.toolsOf(seat);
      let formatted = false;
      const replica = replicaFrom(index);
      formatStorage(formatOptionsOf(request, configOf(), replica, scope, tools), (result) => {
        formatted = result.ok;
      });
      seat.disk.settle();
      ok(formatted, "formatted");
      this.open(index);
    });
  }

  /** The host of a replica that is up. */
  host(index: number): Host {
    const host = this.seats[index]?.host ?? null;
    ok(host !== null, `replica ${index} is up`);
    return host;
  }

  /** Starts a replica from its disk. */
  open(index: number): void {
    const seat = this.seats[index];
    ok(seat !== undefined);
    const replica = replicaFrom(index);
    seat.vault.boot();
    openStorage({ ...this.toolsOf(seat), cluster, shard, replica }, (opened) => {
      ok(opened.ok, opened.ok ? "" : opened.message);
      seat.storage = opened.storage;
      const genesis = machineGenesisOf(request.formationId, slots, configOf().keys);
      const key = keys[index];
      ok(key !== undefined);
      const checksummedBytes = nodeSealerBytes;
      openHost(
        {
          replica,
          recovered: opened.recovered,
          storage: opened.storage,
          machine: new ChatMachine(genesis, {
            hash: sha256Bytes,
            proofs: sha256Into,
            versions: this.builds[index] ?? machineVersions,
          }),
          genesisManifest: genesisManifest(ChatMachine.genesisState(genesis)),
          hash: sha256,
          sealer: nodeSealer({
            privateKey: key,
            privateKeyOf: (publicKey) => keyOf.get(publicKey) ?? key,
            checksummedBytes,
          }),
          seed: index + 1,
          timing: configOf().timing,
          quorum: configOf().quorum,
          batch: { lingerMs: 1, depth: 1 },
          proofs: {
            origin: shardOrigin(cluster, shard, slots.epoch),
            hashTrees: (job, done) => done(this.hasher.run(job)),
            sign: (message) => signEd25519(keyByLog(seat, replica) ?? key, message),
            tools: nativeProofCrypto,
            memory: {
              mark: seat.mark,
              save: (mark, done) => {
                seat.disk.defer(() => {
                  seat.mark = mark;
                  done();
                });
              },
            },
          },
          ports: this.portsOf(replica, seat),
        },
        (result) => {
          const late = seat.opening !== null;
          seat.opening = null;
          if (!result.ok) this.refuse(index, result.message);
          else {
            seat.host = result.host;
            if (late) result.host.start();
          }
        },
      );
    });
    this.refused = false;
    const waits = (): boolean => seat.host === null && !this.refused;
    // A damaged checkpoint waits for peers, and its host starts by itself.
    for (let turn = 0; turn < 1000 && waits() && seat.opening === null; turn += 1) {
      seat.disk.settle();
    }
    seat.host?.start();
  }

  private refuse(index: number, why: string): void {
    this.refused = true;
    this.onStop(index, why);
  }

  /** Ends a replica at once; what its disk has not completed is lost. */
  kill(index: number): void {
    const seat = this.seats[index];
    ok(seat !== undefined);
    seat.host = null;
    seat.opening = null;
    seat.disk.crash(() => false);
  }

  /**
   * Replaces the lost volume of a replica that is down: REPLACE at the primary, an empty disk
   * formatted as a learner, then a start. Returns the refusal's sentence, or "".
   */
  replace(index: number): string {
    const seat = this.seats[index];
    const primary = this.primary;
    ok(seat?.host === null && primary !== null, "down, with a primary");
    this.lives += 1;
    const incarnation = incarnationFrom(`${this.lives}${index}`.padStart(32, "b"));
    const key = keys[index];
    ok(key !== undefined);
    const member = { replica: replicaFrom(index), incarnation, publicKey: publicKeyHex(key) };
    let done = this.replaceAt(primary, member);
    if (typeof done === "object" && "refused" in done) return done.refused;
    this.runUntil("the no-ops to be committed", 5_000, () => {
      done = this.replaceAt(this.primary ?? primary, member);
      return typeof done === "object" && "learnOp" in done;
    });
    ok(typeof done === "object" && "learnOp" in done);
    const { members } = this.host(this.primary ?? primary).replica;
    const replacement = { members, ...done };
    seat.disk.crash(() => false);
    seat.disk.files.clear();
    const tools = this.toolsOf(seat);
    const replica = replicaFrom(index);
    const options = formatOptionsOf(request, configOf(), replica, scope, tools, replacement);
    let formatted = false;
    formatStorage(options, (result) => {
      formatted = result.ok;
    });
    seat.disk.settle();
    ok(formatted, "formatted");
    this.open(index);
    return "";
  }

  /** Asks the primary for a replica's next key on its volume, the `turn`th of it. */
  rekey(index: number, turn = 1): RekeyOutcome {
    const { primary } = this;
    if (primary === null) return { refused: "no primary" };
    const before = this.host(primary).replica.members[index];
    ok(before !== undefined);
    const { replica, incarnation } = before;
    const member = { replica, incarnation, publicKey: nextKey(index, turn) };
    return this.host(primary).command((core, step) => askRekey(core, step, member));
  }

  /** Asks the primary for a version of the machine. */
  upgrade(version: number): UpgradeOutcome {
    const { primary } = this;
    if (primary === null) return { refused: "no primary" };
    return this.host(primary).command((core, step) => askUpgrade(core, step, version));
  }

  private replaceAt(primary: number, member: Omit<Member, "replaceOp">): ReplaceOutcome {
    return this.host(primary).command((core, step) => askReplacement(core, step, member));
  }

  /** Lets virtual time pass. */
  run(ms: number): void {
    for (let left = ms; left > 0; left -= 1) this.turn();
  }

  /** Runs until `done`, at most `limitMs`. */
  runUntil(what: string, limitMs: number, done: () => boolean): void {
    for (let left = limitMs; left > 0; left -= 1) {
      if (done()) return;
      this.turn();
    }
    ok(done(), `${what} within ${limitMs} virtual ms`);
  }

  /** The replica that leads, or null. */
  get primary(): number | null {
    for (const [index, { host }] of this.seats.entries()) {
      const leads = host?.replica.status === "normal" && host.replica.primary === index;
      if (leads && host.replica.voting) return index;
    }
    return null;
  }

  private turn(): void {
    this.nowMs += 1;
    const wire = this.wire;
    this.wire = [];
    for (const { to, message } of wire) {
      const seat = this.seats[to];
      (seat?.host ?? seat?.opening)?.onPeerMessage(message);
    }
    for (const { disk, host, opening } of this.seats) {
      if (opening !== null) {
        disk.settle();
        if (this.nowMs >= opening.deadlineMs) opening.onTimer();
      }
      if (host === null) continue;
      disk.settle();
      if (this.nowMs >= host.deadlineMs) host.onTimer();
      for (let slice = 0; slice < slicesPerMs && host.workWanted; slice += 1) host.work();
    }
  }

  private toolsOf(seat: Seat): StorageTools {
    return {
      ...journalToolsFrom(scope, crc32),
      disk: seat.disk,
      vault: seat.vault,
      later: (run) => seat.disk.defer(run),
      poisoned: (why) => ok(false, `poisoned: ${why}`),
      slotBytes,
    };
  }

  private portsOf(replica: ReplicaIndex, seat: Seat): HostPorts {
    return {
      nowMs: () => this.nowMs,
      wallUs: () => startWallUs + this.nowMs * 1000 + (this.wallOffsetsUs[replica] ?? 0),
      send: (to, message) => {
        this.trace.push(`${this.nowMs} ${replica}>${to} ${message.kind} ${message.view}`);
        if ((seat.host ?? seat.opening) === null || !this.passes(replica, to, message)) return;
        this.wire.push({ to, message: this.alter(replica, to, message) });
      },
      toClient: (connection, message) => this.said.push({ replica, connection, message }),
      later: (run) => seat.disk.later(run),
      wake: () => undefined,
      opening: (opening) => {
        seat.opening = opening;
      },
      status: () => undefined,
      alarm: (what) => this.alarms.push(what),
      stop: (why) => {
        this.onStop(replica, why);
        seat.host = null;
      },
      observe: () => undefined,
    };
  }
}

/** The private half of the key that a host's log gives it. */
function keyByLog({ host }: Seat, replica: number) {
  const own = host?.replica.members.find((one) => one.replica === replica);
  return keyOf.get(own?.publicKey ?? "");
}

function nodeSealerBytes(header: Parameters<typeof prepareChecksummedBytes>[1]): Uint8Array {
  return prepareChecksummedBytes(scope, header);
}

/** A client id of the tests. */
export const hostClient = clientIdFrom("c1".repeat(16));
