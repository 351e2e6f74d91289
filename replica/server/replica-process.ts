import { readFileSync } from "node:fs";
import { join } from "node:path";
import type {
  AuditRequest,
  CertificateRequest,
  DoneAnswer,
  GenesisRequest,
  IdentityAnswer,
  IdentityRequest,
  RekeyRequest,
  Replacement,
  ReplaceRequest,
  RotateAnswer,
  RotateRequest,
  TransferRequest,
  UpgradeRequest,
} from "#replica/admin/admin-calls.ts";
import { auditLine } from "#replica/audit/audit-line.ts";
import type { AdminErrorCode } from "#replica/admin/admin-error.ts";
import type { AdminStatus } from "#replica/admin/admin-status.ts";
import type { ReplicaConfig } from "#replica/admin/replica-config.ts";
import { replicaFrom } from "#replica/base/brands.ts";
import { bytesFromHex } from "#replica/base/bytes.ts";
import { completeTiming, type Timing } from "#replica/base/timing.ts";
import { DiskWriteError } from "#replica/crypto/disk-write-error.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { NodeVault } from "#replica/crypto/node-vault.ts";
import { certificateFacts, type VolumeKey } from "#replica/crypto/volume-key.ts";
import type { FileDisk } from "#replica/storage/file-disk.ts";
import { formatStorage } from "#replica/storage/format-storage.ts";
import { openStorage } from "#replica/storage/open-storage.ts";
import type { StorageTools } from "#replica/storage/storage-tools.ts";
import { identityUri } from "#replica/transport/tls-identity.ts";
import type { TlsMaterial } from "#replica/transport/tls-options.ts";
import { type FrameScope, frameScopeFrom } from "#replica/wire/frame.ts";
import type { AdminHandler, AdminOutcome } from "./admin-server.ts";
import { askReplacement } from "./ask-replacement.ts";
import { askUpgrade } from "./ask-upgrade.ts";
import { AuditFile } from "./audit-file.ts";
import { CosignFile } from "./cosign-file.ts";
import type { Flags } from "./flags.ts";
import { formatOptionsOf, memberOf, type Replacement as FormatAs } from "./formation.ts";
import type { Log } from "./log.ts";
import type { Meters } from "./meters.ts";
import { storageToolsOf } from "./process-tools.ts";
import type { KeyHistory } from "./key-history.ts";
import { identityOf, rekey, type ReplicaName, rotate } from "./key-rotation.ts";
import { KeyWatch } from "./key-watch.ts";
import {
  formatOf,
  knownMembers,
  loadReplacement,
  recordedGenesis,
  recordedReplacement,
  saveReplacement,
} from "./replacement-record.ts";
import { RunningReplica } from "./running-replica.ts";
import { statusOf } from "./status.ts";
import type { Volume } from "./volume.ts";
import { VolumeKeys } from "./volume-keys.ts";

/** What a replica process is made of. */
export interface ReplicaProcessOptions {
  readonly flags: Flags;
  readonly config: ReplicaConfig;
  readonly disk: FileDisk;
  readonly volume: Volume;
  readonly log: Log;
  readonly meters: Meters;
  /** Why the volume is poisoned, or null. Then only the admin port opens. */
  readonly poisoned: string | null;
  /** A write failed: remember it outside the volume, then end. */
  readonly poison: (why: string) => void;
  /** The process must end with that sentence. */
  readonly giveUp: (sentence: string) => void;
  /** Key or certificate changed: the admin port must use it. */
  readonly identityChanged: () => void;
}

const done: AdminOutcome<DoneAnswer> = { ok: true, value: { done: true } };

function refuse(code: AdminErrorCode, detail: string) {
  return { ok: false, code, detail } as const;
}

/**
 * A replica process from its empty disk on: unformatted → genesis → certified → running. Every
 * step is a command from outside; a replica never formats itself (rule A11).
 */
export class ReplicaProcess implements AdminHandler {
  private readonly keys: VolumeKeys;
  private readonly watch: KeyWatch;
  /** PEM of the trust bundle, re-read when its file changes. */
  trust: string;
  /** At work, or null. */
  running: RunningReplica | null = null;
  /** Why the state is what it is; for people. */
  message = "";
  readonly options: ReplicaProcessOptions;
  private readonly scope: FrameScope;
  private readonly timing: Timing;
  private vault: NodeVault | null = null;
  private signed: CosignFile | null = null;
  private noted: AuditFile | null = null;
  private history: KeyHistory | null = null;
  private formatting: Promise<AdminOutcome<DoneAnswer>> | null = null;
  private opening = false;
  private closing = false;
  /** Storage found a format that was cut off: genesis may run again. */
  private halfFormatted = false;

  /** Reads the small files of the volume; {@link advance} does the rest. */
  constructor(options: ReplicaProcessOptions) {
    const { config, volume, poisoned } = options;
    this.options = options;
    this.timing = completeTiming(config.timing);
    const { cluster, shard } = config;
    this.scope = frameScopeFrom({ cluster, shard, hash: sha256 });
    this.keys = new VolumeKeys(volume);
    this.watch = new KeyWatch({
      keys: this.keys,
      log: options.log,
      lookMs: this.timing.filesLookMs,
      told: () => this.running?.host.replica.ownKeyTold === true,
      changed: (publicKey) => {
        this.rotated("key");
        this.running?.audit?.note("key_changed", { public_key: publicKey });
      },
      use: () => this.useIdentity(),
      giveUp: options.giveUp,
    });
    this.trust = readFileSync(config.files.trust, "utf8");
    if (poisoned !== null) this.message = `The volume is poisoned: ${poisoned.trim()}`;
  }

  /** The volume's key, or null before the first identity call. */
  get key(): VolumeKey | null {
    return this.keys.active?.key ?? null;
  }

  /** The installed PEM chain of that key, or null. */
  get chain(): string | null {
    return this.keys.active?.chain ?? null;
  }

  /** The key that a rotation made and that is not alone yet, or null. */
  get nextKey(): string | null {
    return this.keys.next?.key.publicKey ?? null;
  }

  private get name(): ReplicaName {
    const { config, flags } = this.options;
    return { replica: flags.replica, config, uri: this.uri };
  }

  /** The URI that certificates of this replica name. */
  get uri(): string {
    const { config, flags } = this.options;
    const { cluster, shard } = config;
    return identityUri({ role: "replica", cluster, shard, replica: flags.replica });
  }

  /** True once genesis is complete. */
  get formatted(): boolean {
    return this.options.volume.formatted && this.formatting === null && !this.halfFormatted;
  }

  /** Starts the replica when nothing is missing any more. */
  async advance(): Promise<void> {
    if (this.opening || this.running !== null || this.closing) return;
    if (this.options.poisoned !== null || !this.formatted) return;
    const tls = this.keys.tls(this.trust);
    if (tls === null) return;
    this.opening = true;
    try {
      await this.open(tls);
    } finally {
      this.opening = false;
    }
  }

  /** Gives the primary away, then ends turns and closes sockets and files. */
  async close(): Promise<void> {
    this.closing = true;
    const { running } = this;
    if (running !== null) {
      await running.handOver(this.timing.handOverMs);
      running.close();
    }
    await new Promise<void>((resolve) => this.options.disk.close(resolve));
    this.vault?.close();
    this.signed?.close();
    this.noted?.close();
  }

  /** A new trust bundle: every later connection uses it. */
  setTrust(pem: string): void {
    this.trust = pem;
    this.rotated("trust");
    this.useIdentity();
  }

  /** The content of the key-encryption file, looked at now and then; true = nothing left to do. */
  setKek(text: string): boolean {
    if (this.vault === null) return true;
    const { config, log } = this.options;
    const result = this.vault.rewrap(text, config.files.kek);
    if (!result.ok) log.error("key-encryption key refused", { sentence: result.reason });
    else if (result.value === "rewrapped") log.info("data keys wrapped by a new key");
    if (!result.ok) this.rotated("kek", "refused");
    else if (result.value === "rewrapped") this.rotated("kek");
    return !result.ok || result.value !== "busy";
  }

  private rotated(kind: "certificate" | "kek" | "key" | "trust", outcome = "done"): void {
    this.options.meters.add("replicaKeyRotations", 1, { kind, outcome });
  }

  status(): AdminStatus {
    return statusOf(this);
  }

  identity(request: IdentityRequest): AdminOutcome<IdentityAnswer> {
    if (this.options.poisoned !== null) return refuse("poisoned", this.message);
    if (this.key === null) {
      const { publicKey } = this.keys.make();
      this.options.log.info("key made", { publicKey });
      this.options.identityChanged();
    }
    const { key } = this;
    if (key === null) return refuse("no_identity", "There is no key.");
    return { ok: true, value: identityOf(this.name, key, request.nonce) };
  }

  certificate(request: CertificateRequest): AdminOutcome<DoneAnswer> {
    const pem = request.certificate;
    if (this.key === null) return refuse("no_identity", "Call /v1/identity first.");
    const facts = certificateFacts(pem);
    if (facts === null) return refuse("wrong_certificate", "The PEM holds no certificate.");
    if (!facts.uris.includes(this.uri)) {
      return refuse("wrong_certificate", `The certificate must name ${this.uri}.`);
    }
    const installed = this.keys.install(pem);
    if (installed === null) {
      return refuse("wrong_certificate", `Certify the key ${this.key.publicKey}.`);
    }
    if (installed.before !== null && installed.before !== pem) this.rotated("certificate");
    const { publicKey } = facts;
    this.running?.audit?.note("certificate", { public_key: publicKey });
    this.useIdentity();
    this.start();
    return done;
  }

  async genesis(request: GenesisRequest): Promise<AdminOutcome<DoneAnswer>> {
    const { volume } = this.options;
    const stranger = this.refuseStranger(request.members);
    if (stranger !== null) return stranger;
    const asked = JSON.stringify(request);
    const before = volume.loadGenesis();
    if (before !== null && before !== asked) {
      return refuse("already_formatted", "Genesis was begun here with other facts.");
    }
    if (volume.formatted && before === null) {
      return refuse("already_formatted", "The volume was not formatted by a genesis.");
    }
    if (this.formatting === null && this.formatted) return done;
    this.formatting ??= this.format(request, asked, null);
    const outcome = await this.formatting;
    this.formatting = null;
    this.start();
    return outcome;
  }

  transfer(request: TransferRequest): AdminOutcome<DoneAnswer> {
    const { running } = this;
    if (running === null) return refuse("not_ready", "The replica is not running.");
    const { view } = running.host.replica;
    if (request.view !== view) return refuse("view_moved", `The view is ${view}.`);
    if (!running.leads) return refuse("not_primary", "Ask the primary.");
    const target = replicaFrom(request.target);
    if (target === this.options.flags.replica) return done;
    if (!running.sockets.peerConnected(target)) {
      return refuse("not_ready", `Replica ${target} is not connected.`);
    }
    running.host.transfer(target);
    running.audit?.note("transfer", { view, from: this.options.flags.replica, target });
    return done;
  }

  replace(request: ReplaceRequest): AdminOutcome<Replacement> {
    const { running } = this;
    if (running === null) return refuse("not_ready", "The replica is not running.");
    const { replica } = running.host;
    if (request.view !== replica.view) return refuse("view_moved", `The view is ${replica.view}.`);
    if (!running.leads) return refuse("not_primary", "Ask the primary.");
    const genesis = recordedGenesis(this.options.volume);
    if (genesis === null) return refuse("disk", "keys/genesis.json of this volume is damaged.");
    const outcome = running.host.command((core, step) => {
      return askReplacement(core, step, memberOf(request));
    });
    if (outcome === "pending") {
      return refuse("not_ready", "The replacement is being committed; ask again.");
    }
    if ("refused" in outcome) return refuse("not_ready", outcome.refused);
    const members = replica.members.map((each) => ({ replaceOp: 0, ...each }));
    const { replica: lost, incarnation } = request;
    running.audit?.note("replace", { replica: lost, incarnation });
    // Those of genesis and of now are named anyway.
    const named = [...genesis.members, ...members].map(({ publicKey }) => publicKey);
    const between = this.history?.list.filter(({ publicKey }) => !named.includes(publicKey)) ?? [];
    const former = between.length === 0 ? {} : { former: between };
    return { ok: true, value: { genesis, members, ...former, ...outcome } };
  }

  rotate(request: RotateRequest): AdminOutcome<RotateAnswer> {
    if (this.running === null) return refuse("not_ready", "The replica is not running.");
    const before = this.nextKey;
    const outcome = rotate(this.name, this.keys, request);
    const publicKey = this.nextKey;
    if (before === null && publicKey !== null) {
      this.options.log.info("next key made", { publicKey });
      this.watch.look();
    }
    return outcome;
  }

  rekey(request: RekeyRequest): AdminOutcome<DoneAnswer> {
    if (this.running === null) return refuse("not_ready", "The replica is not running.");
    return rekey(this.name, this.running, request);
  }

  upgrade(request: UpgradeRequest): AdminOutcome<DoneAnswer> {
    const { running } = this;
    if (running === null) return refuse("not_ready", "The replica is not running.");
    const outcome = running.host.command((core, step) => askUpgrade(core, step, request.version));
    if (outcome === "done") {
      running.audit?.note("upgrade", { version: request.version });
      return done;
    }
    if (outcome !== "pending") return refuse("not_ready", outcome.refused);
    return refuse("not_ready", "The upgrade is being committed; ask again.");
  }

  audit(request: AuditRequest): AdminOutcome<DoneAnswer> {
    const { audit } = this.running ?? { audit: null };
    if (audit === null) return refuse("not_ready", "The replica is not running.");
    const lines = request.lines.flatMap(({ key, ...members }) => {
      const line = auditLine({ ...members, by: "operator", late: false });
      return line === null ? [] : [{ line, key: bytesFromHex(key) }];
    });
    const unfit = lines.length < request.lines.length;
    if (unfit) return refuse("bad_request", "A line has unfit facts.");
    return audit.take(lines) ? done : refuse("not_ready", "Too many lines wait; ask again.");
  }

  async replacement(request: Replacement): Promise<AdminOutcome<DoneAnswer>> {
    const { volume } = this.options;
    const stranger = this.refuseStranger(request.members);
    if (stranger !== null) return stranger;
    const before = loadReplacement(volume);
    const begun = before === null ? null : recordedReplacement(before);
    if (volume.formatted && begun === null) {
      return refuse("already_formatted", "The volume was not formatted by a replacement.");
    }
    if (this.formatting === null && this.formatted) return done;
    // A format that was cut off goes on with what was asked first: the floor may only be higher.
    this.formatting ??= this.formatAnew(begun ?? request);
    const outcome = await this.formatting;
    this.formatting = null;
    this.start();
    return outcome;
  }

  private formatAnew(replacement: Replacement): Promise<AdminOutcome<DoneAnswer>> {
    saveReplacement(this.options.volume, replacement);
    const { genesis } = replacement;
    return this.format(genesis, JSON.stringify(genesis), formatOf(replacement));
  }

  /** Why this replica is not one of these members; null when it is. */
  private refuseStranger(members: GenesisRequest["members"]): ReturnType<typeof refuse> | null {
    const { flags, poisoned } = this.options;
    if (poisoned !== null) return refuse("poisoned", this.message);
    if (this.key === null) return refuse("no_identity", "Call /v1/identity first.");
    const own = members[flags.replica];
    const { incarnation, publicKey } = this.key;
    if (own?.incarnation === incarnation && own.publicKey === publicKey) return null;
    return refuse("wrong_member", `Member ${flags.replica} must be ${incarnation}, ${publicKey}.`);
  }

  private start(): void {
    this.advance().catch((error: unknown) => {
      // A write that failed at the first opening poisons the volume like any later one.
      if (error instanceof DiskWriteError) this.options.poison(error.message);
      else this.options.giveUp(String(error));
    });
  }

  private useIdentity(): void {
    this.options.identityChanged();
    const tls = this.keys.tls(this.trust);
    if (tls === null) return;
    this.running?.sockets.setTls(tls, this.keys.ownKeys(this.trust));
    this.running?.audit?.setTls(tls);
  }

  /** Opens the data keys once; false when the process gives up. */
  private openVault(): NodeVault | null {
    if (this.vault !== null) return this.vault;
    const { config, volume } = this.options;
    const kek = readFileSync(config.files.kek, "utf8");
    const file = join(volume.data, "keys", "data-keys");
    const vault = NodeVault.open({ file, kek, kekFile: config.files.kek });
    if (vault.ok) this.vault = vault.value;
    else this.options.giveUp(vault.reason);
    return this.vault;
  }

  private toolsOf(vault: NodeVault): StorageTools {
    const { disk, poison } = this.options;
    return storageToolsOf(this.scope, disk, vault, this.timing.identifierGatherMs, poison);
  }

  private async format(
    request: GenesisRequest,
    json: string,
    replacement: FormatAs | null,
  ): Promise<AdminOutcome<DoneAnswer>> {
    const { config, flags, volume, log } = this.options;
    const vault = this.openVault();
    if (vault === null) return refuse("disk", "The data keys cannot be opened.");
    volume.saveGenesis(json);
    const tools = this.toolsOf(vault);
    const { scope } = this;
    const options = formatOptionsOf(request, config, flags.replica, scope, tools, replacement);
    const startMs = performance.now();
    const result = await new Promise<Parameters<Parameters<typeof formatStorage>[1]>[0]>(
      (resolve) => formatStorage(options, resolve),
    );
    const tookMs = Math.round(performance.now() - startMs);
    if (!result.ok) return refuse("disk", result.message);
    this.halfFormatted = false;
    this.message = "";
    const as = replacement === null ? "voter" : "learner";
    log.info("formatted", { formationId: request.formationId, as, tookMs });
    return done;
  }

  private async open(tls: TlsMaterial): Promise<void> {
    const { config, flags, log, meters, giveUp } = this.options;
    const vault = this.openVault();
    if (vault === null) return;
    const { cluster, shard } = config;
    const { replica } = flags;
    const tools = this.toolsOf(vault);
    const opened = await new Promise<Parameters<Parameters<typeof openStorage>[1]>[0]>((resolve) =>
      openStorage({ ...tools, cluster, shard, replica }, resolve),
    );
    if (!opened.ok && (opened.code === "unformatted" || opened.code === "half_formatted")) {
      this.halfFormatted = true;
      this.message = opened.message;
      return;
    }
    if (!opened.ok) {
      giveUp(opened.message);
      return;
    }
    const problem = this.keys.open(opened.recovered.superblock);
    if (problem !== null) {
      giveUp(problem);
      return;
    }
    const { scope, keys } = this;
    const ownKeyIs = (publicKey: string): void => this.watch.follow(publicKey);
    const trust = (): string => this.trust;
    this.signed ??= new CosignFile(this.options.volume.data, this.options.poison);
    this.noted ??= AuditFile.open(this.options.volume.data, log);
    const { signed, noted } = this;
    this.history = knownMembers(this.options.volume, log);
    const { history } = this;
    const memory = { signed, noted, history };
    const identity = { keys, tls, trust, ownKeyIs };
    const open = { replica, config, ...identity, scope, opened, ...memory, log, meters, giveUp };
    const running = await RunningReplica.open(open);
    if (typeof running === "string") {
      giveUp(running);
      return;
    }
    this.running = running;
    // A certificate or trust bundle may have come while this opened.
    this.useIdentity();
    this.watch.look();
    log.info("running", { view: running.host.replica.view, head: running.host.replica.head });
  }
}
