import type { AdminState } from "#replica/admin/admin-status.ts";
import type { CurrentMember } from "#replica/admin/admin-calls.ts";
import type { ReplicaConfig } from "#replica/admin/replica-config.ts";
import { assert } from "#replica/base/assert.ts";
import { type ReplicaIndex, replicaFrom } from "#replica/base/brands.ts";
import type { AuditMemory } from "#replica/audit/audit-memory.ts";
import { completeTiming, type Timing } from "#replica/base/timing.ts";
import { signEd25519 } from "#replica/crypto/ed25519.ts";
import { random, sha256, sha256Bytes, sha256Into } from "#replica/crypto/hash.ts";
import { nodeSealer } from "#replica/crypto/node-sealer.ts";
import { nativeProofCrypto } from "#replica/crypto/proof-crypto.ts";
import { ChatMachine } from "#replica/machine/chat-machine.ts";
import { shardOrigin } from "#replica/proof/checkpoint.ts";
import { genesisManifest } from "#replica/snapshot/manifest.ts";
import type { Opened } from "#replica/storage/open-storage.ts";
import type { TlsMaterial } from "#replica/transport/tls-options.ts";
import { auditRoom } from "#replica/wire/audit-room.ts";
import type { FrameScope } from "#replica/wire/frame.ts";
import { prepareChecksummedBytes } from "#replica/wire/prepare-codec.ts";
import type { Member } from "#replica/wire/superblock.ts";
import { AuditLog } from "./audit-log.ts";
import type { CosignMemory } from "./cosigning.ts";
import { EventLoop } from "./event-loop.ts";
import { machineGenesisOf } from "./formation.ts";
import type { Host } from "./host.ts";
import { openHost } from "./open-host.ts";
import type { MemberHistory } from "./member-keys.ts";
import type { Log } from "./log.ts";
import type { Opening } from "./opening.ts";
import type { Meters } from "./meters.ts";
import { Scrubbing, scrubBytesPerSDefault } from "./scrubbing.ts";
import { RetentionKeeper } from "./retention-keeper.ts";
import { Sockets } from "./sockets.ts";
import { TreeThread } from "./tree-thread.ts";
import { version } from "./version.ts";
import type { VolumeKeys } from "./volume-keys.ts";

/** Redials within which a peer that comes back is found, one of them just missed. */
const redials = 2;

/** What a running replica is made of. */
export interface RunningOptions {
  readonly replica: ReplicaIndex;
  readonly config: ReplicaConfig;
  readonly keys: VolumeKeys;
  readonly tls: TlsMaterial;
  /** PEM of the trust bundle now. */
  readonly trust: () => string;
  /** What is executed of the log gives this replica that key. */
  readonly ownKeyIs: (publicKey: string) => void;
  readonly scope: FrameScope;
  readonly opened: Opened;
  /** Memory of the heads that it signed. */
  readonly signed: CosignMemory;
  readonly history: MemberHistory & { readonly list: readonly CurrentMember[] };
  /** Memory of the audit lines that wait; null = there is none. */
  readonly noted: AuditMemory | null;
  readonly log: Log;
  readonly meters: Meters;
  /** The process must end with that sentence. */
  readonly giveUp: (sentence: string) => void;
}

/**
 * One prepare in flight: the next one takes everything that came meanwhile. More in flight means
 * more and smaller prepares, each with its fixed cost, and a longer tail on few cores (measured).
 * A busy shard makes one in 3 ms at most; a quiet one never waits.
 */
const batchDepth = 1;
/** Ops behind the known commit up to which a replica counts as caught up. */
const caughtUpOpsMax = 64;

/** An open, formatted, certified volume at work: host, sockets and event loop. */
export class RunningReplica {
  readonly host: Host;
  readonly sockets: Sockets;
  private readonly options: RunningOptions;
  private readonly timing: Timing;
  private readonly loop: EventLoop;
  /** Null when the configuration switches it off. */
  readonly scrubbing: Scrubbing | null;
  /** Null when the shard owns no slot for the room. */
  readonly audit: AuditLog | null;
  private readonly retention: RetentionKeeper;

  private constructor(
    options: RunningOptions,
    host: Host,
    sockets: Sockets,
    loop: EventLoop,
    audit: AuditLog | null,
    machine: ChatMachine,
  ) {
    this.options = options;
    this.timing = completeTiming(options.config.timing);
    this.host = host;
    this.audit = audit;
    this.sockets = sockets;
    this.loop = loop;
    this.retention = new RetentionKeeper({
      machine,
      roundMs: this.timing.retentionRoundMs,
      leads: () => this.leads,
      load: (addresses, done) => host.blocks.load(addresses, done),
      submit: (operations, count, done) => audit?.submit(operations, count, done) ?? false,
      trimmed: (rooms) => {
        options.meters.add("replicaTrims", rooms);
        if (rooms > 0) audit?.note("retention", { rooms });
      },
    });
    const bytesPerS = options.config.scrub?.bytesPerS ?? scrubBytesPerSDefault;
    const { opened, log } = options;
    this.scrubbing = bytesPerS === 0 ? null : new Scrubbing(host, opened.storage, bytesPerS, log);
  }

  /** Restores the machine, opens the ports, starts. The result is a sentence when it cannot. */
  static open(options: RunningOptions): Promise<RunningReplica | string> {
    const loop = new EventLoop();
    const sockets = new Sockets(options);
    const audit = auditLogOf(options);
    sockets.refused = (peer) => audit?.refused(peer);
    let host: Host | null = null;
    let said = "";
    let viewTold = options.opened.recovered.superblock.view;
    const status = (): void => {
      if (host === null) return;
      const { replica } = host;
      const facts = { status: replica.status, view: replica.view, primary: replica.primary };
      if (said === JSON.stringify(facts)) return;
      said = JSON.stringify(facts);
      options.log.info("status", { ...facts, head: replica.head, commitMin: replica.commitMin });
      // Who leads a new view says so; the others would say the same.
      const leads = replica.status === "normal" && replica.primary === options.replica;
      if (!leads || replica.view <= viewTold) return;
      const { view, commitMin: op } = replica;
      audit?.note("view_change", { from: viewTold, view, primary: options.replica, op });
      viewTold = view;
    };
    return new Promise((resolve) => {
      const logKey = (): string | undefined => {
        return host?.replica.members.find((one) => one.replica === options.replica)?.publicKey;
      };
      const hostOptions = hostOptionsOf(options, loop, sockets, { status, logKey });
      openHost(hostOptions, (opened) => {
        sockets.opened();
        if (!opened.ok) {
          resolve(opened.message);
          return;
        }
        host = opened.host;
        const running = new RunningReplica(
          options,
          opened.host,
          sockets,
          loop,
          audit,
          hostOptions.machine,
        );
        sockets.open(opened.host).then(
          () => {
            loop.start(opened.host);
            running.scrubbing?.start();
            running.retention.start();
            const { identity } = running.superblock;
            audit?.note("started", { incarnation: identity.incarnation, version });
            resolve(running);
          },
          (error: unknown) => resolve(String(error)),
        );
      });
    });
  }

  /** The superblock as it was opened: identity, members, slots. */
  get superblock(): Opened["recovered"]["superblock"] {
    return this.options.opened.recovered.superblock;
  }

  /** State for the admin port. */
  get state(): AdminState {
    if (this.host.syncing) return "syncing";
    return this.host.replica.status;
  }

  /**
   * Votes, is normal in the current view, and follows the commits: by what the primary says now,
   * since after a restart the own knowledge is old and looks complete.
   */
  get caughtUp(): boolean {
    const { replica, syncing, primaryHeardMs } = this.host;
    const silentMs = performance.now() - primaryHeardMs;
    if (!this.leads && silentMs > this.timing.primarySilenceMs) return false;
    const lag = replica.commitMax - replica.commitMin;
    return replica.voting && replica.status === "normal" && !syncing && lag <= caughtUpOpsMax;
  }

  /** True while this replica is the primary in normal status. */
  get leads(): boolean {
    const { replica } = this.host;
    const normal = replica.status === "normal" && replica.voting;
    return normal && replica.primary === this.options.replica;
  }

  /**
   * Gives the primary away (A8) and waits, at most `limitMs`, until another leads. When nobody is
   * there to take it for as long as a peer that comes back may be looked for, it is kept: without
   * a peer nothing is committed anyway.
   */
  async handOver(limitMs: number): Promise<void> {
    const untilMs = performance.now() + limitMs;
    const { replica } = this.options;
    const peers = [replicaFrom((replica + 1) % 3), replicaFrom((replica + 2) % 3)];
    let thereMs = performance.now();
    for (let turn = 0; this.leads && performance.now() < untilMs; turn += 1) {
      const target = replicaFrom((replica + 1 + (turn % 2)) % 3);
      const connected = this.sockets.peerConnected(target);
      if (peers.some((peer) => this.sockets.peerConnected(peer))) thereMs = performance.now();
      else if (performance.now() > thereMs + redials * this.timing.redialMaxMs) return;
      if (connected) this.host.transfer(target);
      const waitMs = connected ? 200 : 5;
      for (let left = waitMs; this.leads && left > 0; left -= 5) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  /** Ends turns and closes sockets; the caller closes the disk. */
  close(): void {
    this.scrubbing?.stop();
    this.retention.stop();
    this.loop.stop();
    this.audit?.close();
    this.sockets.close();
  }
}

/** The log of what is done to this shard, by this replica. */
function auditLogOf({ replica, config, tls, opened, noted }: RunningOptions): AuditLog | null {
  const { slots } = opened.recovered.superblock;
  const room = auditRoom((slot) => slot >= slots.first && slot < slots.first + slots.count);
  return room === null ? null : new AuditLog({ replica, config, room, tls, memory: noted });
}

function hostOptionsOf(
  options: RunningOptions,
  loop: EventLoop,
  sockets: Sockets,
  /** `logKey`: the own key by the whole log, whose bearer signs; undefined before there is one. */
  { status, logKey }: { readonly status: () => void; readonly logKey: () => string | undefined },
) {
  const { config, opened, scope, log, meters } = options;
  const timing = completeTiming(config.timing);
  const { superblock } = opened.recovered;
  const { slots, identity } = superblock;
  const genesis = machineGenesisOf(identity.formationId, slots, config.keys);
  const privateKeyOf = (publicKey: string | undefined) => {
    const held = publicKey === undefined ? null : options.keys.held(publicKey);
    const { privateKey } = (held ?? options.keys.active)?.key ?? {};
    assert(privateKey !== undefined, "SRV-13: an open volume has a key");
    return privateKey;
  };
  const sealer = nodeSealer({
    privateKey: privateKeyOf(undefined),
    privateKeyOf,
    checksummedBytes: (header) => prepareChecksummedBytes(scope, header),
  });
  return {
    replica: options.replica,
    recovered: opened.recovered,
    storage: opened.storage,
    machine: new ChatMachine(genesis, { hash: sha256Bytes, proofs: sha256Into }),
    genesisManifest: genesisManifest(ChatMachine.genesisState(genesis)),
    hash: sha256,
    sealer,
    seed: new DataView(random(4).buffer).getUint32(0),
    timing,
    quorum: config.quorum,
    batch: { lingerMs: timing.batchLingerMs, depth: batchDepth, gapMs: timing.batchGapMs },
    syncBytesPerS: config.sync?.bytesPerS,
    proofs: {
      origin: shardOrigin(identity.cluster, identity.shard, slots.epoch),
      hashTrees: new TreeThread(process.argv[1] ?? "").hash,
      sign: (message: Uint8Array) => signEd25519(privateKeyOf(logKey()), message),
      tools: nativeProofCrypto,
      memory: options.signed,
      history: options.history,
    },
    ports: {
      nowMs: () => performance.now(),
      wallUs: () => Math.round((performance.timeOrigin + performance.now()) * 1000),
      send: sockets.send,
      toClient: sockets.toClient,
      later: (run: () => void) => setImmediate(run),
      wake: loop.wake,
      status,
      opening: (opening: Opening) => {
        sockets.openPeers(opening).catch((error: unknown) => options.giveUp(String(error)));
      },
      members: (members: readonly Member[], committed: readonly Member[]) => {
        sockets.setMembers(members, committed);
        const own = committed[options.replica];
        if (own?.incarnation === identity.incarnation) options.ownKeyIs(own.publicKey);
      },
      alarm: (what: string) => log.error("alarm", { alarm: what }),
      stop: (why: string) => options.giveUp(why),
      observe: (what: "wal_write" | "commit", ms: number) => {
        meters.observe(what === "commit" ? "replicaCommit" : "replicaWalWrite", ms / 1000);
      },
    },
  };
}
