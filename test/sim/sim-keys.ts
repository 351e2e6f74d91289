import type { Prng } from "#replica/base/prng.ts";
import { KeyRing, type RingOpening } from "#replica/crypto/key-ring.ts";
import type { Vault } from "#replica/crypto/vault.ts";
import { Keys, type NeededKeys } from "./checkers/18-keys.ts";
import { KeyDisk, type KeyWriteFate } from "./key-disk.ts";
import type { KekFile } from "./kek-file.ts";
import type { KeyFaults } from "./swarm.ts";
import { type SimKek, simWrapping, SimVault, type VaultWorld } from "./sim-vault.ts";

/** The keys on a copy of a volume, and what on it needs them. */
export interface KeysCopy {
  readonly file: ReturnType<KeyDisk["snapshot"]>;
  readonly needed: NeededKeys;
  /** Numbers of the key-encryption keys of which one wraps them. */
  readonly keks: readonly number[];
}

/** What surrounds the data keys of one machine. */
export interface KeysWorld {
  readonly replica: number;
  readonly prng: Prng;
  readonly kekFile: KekFile;
  readonly faults: KeyFaults;
  /** Faults happen now. */
  readonly active: () => boolean;
  readonly secret: () => number;
  readonly later: (delayMs: number, run: () => void) => void;
  /** Mean time that a write takes, ms. */
  readonly writeMs: number;
  readonly sealed: (secret: number, counter: number) => void;
  readonly count: (what: string) => void;
}

/** The data keys of one machine: their file, which survives, and the vault of each life. */
export class SimKeys {
  private readonly world: KeysWorld;
  private readonly disk = new KeyDisk();
  private readonly checker: Keys;
  private vaultNow: SimVault | null = null;
  private kek = 0;

  constructor(world: KeysWorld) {
    this.world = world;
    this.checker = new Keys(world.replica);
  }

  /** The vault of the process that lives. */
  get vault(): Vault {
    if (this.vaultNow === null) throw new Error("sim: no vault");
    return this.vaultNow;
  }

  /** Number of the key-encryption key that wraps both copies for sure; 0: none is known. */
  get kekNumber(): number {
    return this.kek;
  }

  /**
   * Opens the table; the reason why not. `slots`: keys of the log's whole prepares. Power may be
   * cut while this life's key is written.
   */
  open(slots: readonly number[]): string | null {
    const { kekFile, count } = this.world;
    const opening = this.read(kekFile.keks);
    if (!opening.ok) {
      this.checker.refused(opening.reason, this.disk.destroyed);
      count(`keys ${opening.reason}`);
      return `the data keys are ${opening.reason}`;
    }
    const { ring, state } = opening;
    count(`keys ${state}`);
    this.checker.opened((id) => ring.key(id), slots);
    this.vaultNow = this.made(ring);
    this.vaultNow.boot();
    this.kek = kekFile.keks[0].number;
    return null;
  }

  /** A start with another shard's key-encryption file, now and then: refused, nothing changes. */
  mistaken(): boolean {
    const { prng, faults, kekFile, count } = this.world;
    if (!this.world.active() || this.disk.destroyed || !prng.chance(faults.wrongKek)) return false;
    const { copies: before } = this.disk.snapshot();
    const opening = this.read(kekFile.wrong);
    const after = this.disk.bytes;
    const changed = before.some((copy, i) => Buffer.compare(copy, after[i] ?? copy) !== 0);
    this.checker.mistaken(opening.ok ? null : opening.reason, changed);
    count("fault wrong_kek");
    count("keys foreign");
    return true;
  }

  /** The key-encryption file has changed under the process that runs. */
  rewrap(): void {
    const [first] = this.world.kekFile.keks;
    const outcome = this.vaultNow?.rewrap(first) ?? "busy";
    this.world.count(`keys ${outcome}`);
    if (outcome !== "busy") this.kek = first.number;
  }

  /** The process and its disk lose power. */
  crash(): void {
    const happened = this.disk.crash(this.world.prng);
    if (happened === "torn" || happened === "between") this.world.count(`fault key_${happened}`);
    this.vaultNow = null;
  }

  /** A copy of the table decays. */
  decay(): void {
    if (this.disk.decay(this.world.prng)) this.world.count("fault key_decay");
  }

  /** Both copies decay. */
  destroy(): void {
    this.disk.destroy(this.world.prng);
    this.world.count("fault keys_destroyed");
  }

  snapshot(): KeysCopy {
    const { kekFile } = this.world;
    return { file: this.disk.snapshot(), needed: this.checker.snapshot(), keks: kekFile.numbers };
  }

  /** The volume is a copy of itself, or another one. */
  restore(copy: KeysCopy): void {
    this.disk.restore(copy.file);
    this.checker.restore(copy.needed);
    this.kek = 0;
    this.vaultNow = null;
    this.world.kekFile.needs(copy.keks);
  }

  private read(keks: readonly [SimKek, ...SimKek[]]): RingOpening<SimKek, number> {
    return KeyRing.open(simWrapping(this.world.secret), keks, this.disk.bytes);
  }

  private made(ring: KeyRing<SimKek, number>): SimVault {
    const { checker, world } = this;
    const { prng, writeMs, count } = world;
    const ports: VaultWorld = {
      later: (run) => world.later(0.1 - writeMs * Math.log(1 - prng.fraction()), run),
      sealed: (purpose, id, secret, counter) => {
        world.sealed(secret, counter);
        checker.sealed(purpose, id, secret);
      },
      rotates: (keep) => checker.rotates(keep),
      rotated: () => count("state data_key_rotated"),
      fate: () => this.fate(),
      cut: () => this.cut(),
    };
    return new SimVault(ports, ring, this.disk);
  }

  private fate(): KeyWriteFate {
    const { prng, faults, active, count } = this.world;
    if (!active() || !this.disk.mayFail || !prng.chance(faults.lostWrite)) return "ok";
    count("fault key_write_lost");
    return "lost";
  }

  private cut(): boolean {
    const { prng, faults, active, count } = this.world;
    if (!active() || !prng.chance(faults.powerCut)) return false;
    count("fault key_power_cut");
    return true;
  }
}
