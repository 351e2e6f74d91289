import type { Prng } from "#replica/base/prng.ts";
import { diskUnitBytes } from "#replica/base/limits.ts";
import type { Disk, Zone } from "#replica/wire/storage-port.ts";

/** What a fault does to one write. `lost`: reported as done, never there. */
export type WriteFate = "ok" | "error" | "lost" | "misdirected";
/** What a fault does to one read. `flipped`: one bit of what is returned. */
export type ReadFate = "ok" | "error" | "flipped";

/** What surrounds a disk: time, chance, and who decides on faults. */
export interface DiskWorld {
  readonly prng: Prng;
  /** Runs later; void when the process died meanwhile. */
  readonly after: (delayMs: number, run: () => void) => void;
  readonly latencyMs: (kind: "read" | "write") => number;
  readonly writeFate: (name: string, offset: number, bytes: number) => WriteFate;
  readonly readFate: (name: string, offset: number, bytes: number) => ReadFate;
  /** Byte of the same file that a misdirected write may hit, or -1. */
  readonly misdirect: (name: string, offset: number, bytes: number) => number;
  /** The identifier of what was written to the slot at a byte of the prepares is durable. */
  readonly named: (offset: number) => boolean;
  readonly note: (what: string) => void;
}

interface SimFile {
  /** What was written and completed, faults of the medium aside; zeros from `size` on. */
  truth: Uint8Array;
  size: number;
  /** Units that read differently: decayed, lost, hit by another write. */
  readonly overlay: Map<number, Uint8Array>;
  /** Of each unit: grows with every landing there; none = 0. */
  readonly versions: number[];
}

interface Pending {
  readonly name: string;
  readonly offset: number;
  /** Null: a creation or a removal. */
  readonly bytes: Uint8Array | null;
  readonly land: () => void;
}

/** A write that will turn out lost once its identifier is durable (two faults otherwise). */
interface Lost {
  readonly name: string;
  readonly offset: number;
  readonly units: readonly { unit: number; old: Uint8Array; version: number }[];
}

/** Reads as long as this are a restart's scans, which keep nothing of what they look at. */
const scanBytesMin = 256 * 1024;

/** Name of a zone's file. */
export function fileOf(zone: Zone): string {
  return zone.kind === "segment" ? `segments/${zone.id}` : zone.kind;
}

/**
 * A disk of sectors in memory. A write is durable with its completion; power loss lets each
 * sector of a pending write land or not. Faults of the medium lie over the truth: checkers look at
 * the truth, the replica reads what is over it.
 */
export class SectorDisk implements Disk {
  /** Completed writes. */
  writes = 0;
  private readonly world: DiskWorld;
  private files = new Map<string, SimFile>();
  private pending = new Set<Pending>();
  private lost: Lost[] = [];

  constructor(world: DiskWorld) {
    this.world = world;
  }

  /** Writes that are not durable yet. */
  get pendingCount(): number {
    return this.pending.size;
  }

  write(zone: Zone, offset: number, bytes: Uint8Array, done: (r: "ok" | "error") => void): void {
    const { world } = this;
    const name = fileOf(zone);
    // Not copied: bytes that change before the write is done are on the disk as they became.
    const fate = world.writeFate(name, offset, bytes.length);
    const land = (): void => this.land(name, offset, bytes, null);
    const pending: Pending = { name, offset, bytes, land };
    this.pending.add(pending);
    world.after(world.latencyMs("write"), () => {
      this.pending.delete(pending);
      if (fate === "error") {
        // Some of it may be there: the device does not say.
        this.land(name, offset, bytes, () => world.prng.chance(0.5));
        done("error");
        return;
      }
      this.writes += 1;
      if (fate === "lost" || fate === "misdirected") this.loseLater(pending, fate);
      land();
      this.applyLost(name);
      done("ok");
    });
  }

  read(zone: Zone, offset: number, length: number, done: (b: Uint8Array | null) => void): void {
    const { world } = this;
    const name = fileOf(zone);
    const fate = world.readFate(name, offset, length);
    world.after(world.latencyMs("read"), () => {
      if (fate === "error") {
        done(null);
        return;
      }
      // A whole ring is looked at where it lies: copying it costs more than looking.
      const scan = fate === "ok" && length >= scanBytesMin;
      const lent = scan ? this.sound(name, offset, length) : null;
      const bytes = lent ?? this.bytes(name, offset, length);
      if (fate === "flipped" && length > 0) flip(bytes, world.prng);
      done(bytes);
    });
  }

  create(zone: Zone, bytes: number, done: (r: "ok" | "error") => void): void {
    const name = fileOf(zone);
    this.metadata(name, done, () => {
      this.files.set(name, fileFrom(new Uint8Array(bytes)));
    });
  }

  remove(zone: Zone, done: (r: "ok" | "error") => void): void {
    const name = fileOf(zone);
    this.metadata(name, done, () => this.files.delete(name));
  }

  listSegments(done: (ids: readonly string[] | null) => void): void {
    this.world.after(this.world.latencyMs("read"), () => {
      const ids = [...this.files.keys()].filter((name) => name.startsWith("segments/"));
      done(ids.map((name) => name.slice("segments/".length)));
    });
  }

  /** Power is cut: units of pending writes land or not, most of them torn. */
  crash(): void {
    const { prng } = this.world;
    const tears = 0.8 + 0.2 * prng.fraction();
    for (const { name, offset, bytes, land } of this.pending) {
      if (bytes === null || !prng.chance(tears)) {
        if (prng.chance(0.5)) land();
        continue;
      }
      const landing = prng.pick([0, 0.2, 0.5, 0.9]);
      this.land(name, offset, bytes, () => prng.chance(landing));
    }
    this.pending.clear();
    this.lost = [];
  }

  /**
   * One unit decays: a flipped bit, garbage, or `zeros` at times. A slot whose identifier is not
   * durable yet never decays to zeros: it would look as if nothing was ever acknowledged there,
   * which is a crash and damage at one place, two faults. False when there is nothing.
   */
  decay(name: string, unit: number, zeros = false): boolean {
    const file = this.files.get(name);
    if (file === undefined || unit * diskUnitBytes >= file.size) return false;
    const { prng } = this.world;
    const bytes = this.bytes(name, unit * diskUnitBytes, this.unitLength(file, unit));
    const vanishes = zeros && (name !== "prepares" || this.world.named(unit * diskUnitBytes));
    const kind = prng.below(vanishes ? 3 : 2);
    if (kind === 0) flip(bytes, prng);
    else if (kind === 1) for (let i = 0; i < bytes.length; i += 16) bytes[i] = prng.below(256);
    else bytes.fill(0);
    file.overlay.set(unit, bytes);
    return true;
  }

  /**
   * What was written, whatever decayed since; zeros where nothing is. For looking at at once: the
   * next write may change it.
   */
  truth(name: string, offset: number, length: number): Uint8Array {
    const file = this.files.get(name);
    if (file === undefined) return new Uint8Array(length);
    if (offset + length <= file.size) return file.truth.subarray(offset, offset + length);
    return cut(file, offset, length);
  }

  /** A write that covers this byte is in flight. */
  isPending(name: string, offset: number): boolean {
    for (const write of this.pending) {
      if (write.name !== name || write.bytes === null) continue;
      if (offset >= write.offset && offset < write.offset + write.bytes.length) return true;
    }
    return false;
  }

  /** Something in a range reads differently from what was written. */
  isSpoilt(name: string, offset: number, bytes: number): boolean {
    const units = this.files.get(name)?.overlay.keys() ?? [];
    for (const unit of units) {
      const at = unit * diskUnitBytes;
      if (at + diskUnitBytes > offset && at < offset + bytes) return true;
    }
    return false;
  }

  /** Grows with every write that lands in one of the units that lie in a range. */
  version(name: string, offset: number, bytes: number): number {
    const versions = this.files.get(name)?.versions ?? [];
    const end = Math.min(versions.length, Math.ceil((offset + bytes) / diskUnitBytes));
    let version = 0;
    for (let unit = Math.floor(offset / diskUnitBytes); unit < end; unit += 1) {
      version += versions[unit] ?? 0;
    }
    return version;
  }

  /** Bytes of a file, or -1 when there is none. */
  size(name: string): number {
    return this.files.get(name)?.size ?? -1;
  }

  /** Names of all files. */
  get names(): readonly string[] {
    return [...this.files.keys()];
  }

  /** A copy of everything durable; pending writes are not in it. */
  snapshot(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.files.keys()].map((name) => [name, this.bytes(name, 0, 1 << 30)]));
  }

  /** Puts a copy in the place of everything. */
  restore(files: ReadonlyMap<string, Uint8Array>): void {
    this.files = new Map();
    for (const [name, bytes] of files) {
      this.files.set(name, fileFrom(bytes.slice()));
    }
  }

  /** What a read returns, faults of the medium included. */
  bytes(name: string, offset: number, length: number): Uint8Array {
    const file = this.files.get(name);
    if (file === undefined) return new Uint8Array(length === 1 << 30 ? 0 : length);
    const bytes = cut(file, offset, length === 1 << 30 ? file.size : length);
    for (const [unit, over] of file.overlay) {
      const at = unit * diskUnitBytes - offset;
      if (at >= bytes.length || at + over.length <= 0) continue;
      const from = Math.max(0, -at);
      bytes.set(over.subarray(from, bytes.length - at), at + from);
    }
    return bytes;
  }

  /** The range itself where nothing decayed or was lost in the whole file; else null. */
  private sound(name: string, offset: number, length: number): Uint8Array | null {
    const file = this.files.get(name);
    if (file === undefined || file.overlay.size > 0 || offset + length > file.size) return null;
    return file.truth.subarray(offset, offset + length);
  }

  private unitLength(file: SimFile, unit: number): number {
    return Math.min(diskUnitBytes, file.size - unit * diskUnitBytes);
  }

  private metadata(name: string, done: (r: "ok" | "error") => void, apply: () => void): void {
    const pending: Pending = { name, offset: 0, bytes: null, land: apply };
    this.pending.add(pending);
    const { world } = this;
    const fate = world.writeFate(name, -1, 0);
    world.after(world.latencyMs("write"), () => {
      this.pending.delete(pending);
      apply();
      done(fate === "error" ? "error" : "ok");
    });
  }

  /** `lands` decides on each unit; null: all of them do. */
  private land(
    name: string,
    offset: number,
    bytes: Uint8Array,
    lands: (() => boolean) | null,
  ): void {
    let file = this.files.get(name);
    if (file === undefined) {
      file = fileFrom(new Uint8Array(0));
      this.files.set(name, file);
    }
    if (lands === null) {
      grow(file, offset + bytes.length);
      file.truth.set(bytes, offset);
    }
    // Units of the file, not of the write: blocks of segments are not aligned.
    let at = 0;
    while (at < bytes.length) {
      const unit = Math.floor((offset + at) / diskUnitBytes);
      const end = Math.min(bytes.length, (unit + 1) * diskUnitBytes - offset);
      const landed = lands === null || lands();
      if (landed) {
        if (lands !== null) {
          grow(file, offset + end);
          file.truth.set(bytes.subarray(at, end), offset + at);
        }
        if (file.overlay.size > 0) file.overlay.delete(unit);
        countUp(file.versions, unit);
      }
      at = end;
    }
  }

  // A write that the device loses or misdirects shows as lost only after its identifier is durable:
  // earlier it would be two faults at once together with a crash.
  private loseLater(pending: Pending, fate: "lost" | "misdirected"): void {
    const { name, offset, bytes } = pending;
    if (bytes === null) return;
    const units: { unit: number; old: Uint8Array; version: number }[] = [];
    const first = Math.floor(offset / diskUnitBytes);
    const last = Math.floor((offset + bytes.length - 1) / diskUnitBytes);
    for (let unit = first; unit <= last; unit += 1) {
      const old = this.bytes(name, unit * diskUnitBytes, diskUnitBytes);
      const version = this.version(name, unit * diskUnitBytes, 1) + 1;
      units.push({ unit, old, version });
    }
    this.lost.push({ name, offset, units });
    if (fate === "lost") return;
    const target = this.world.misdirect(name, offset, bytes.length);
    const file = this.files.get(name);
    if (target < 0 || file === undefined) return;
    for (let at = 0; at + diskUnitBytes <= bytes.length; at += diskUnitBytes) {
      const unit = Math.floor((target + at) / diskUnitBytes);
      if ((unit + 1) * diskUnitBytes > file.size) break;
      file.overlay.set(unit, bytes.slice(at, at + diskUnitBytes));
    }
  }

  /** `written`: the file of the write that just completed. */
  private applyLost(written: string): void {
    if (this.lost.length === 0) return;
    const due = this.lost.filter(({ name, offset }) => {
      return name !== "prepares" || (written === "identifiers" && this.world.named(offset));
    });
    if (due.length === 0) return;
    this.lost = this.lost.filter((lost) => !due.includes(lost));
    for (const { name, units } of due) {
      const file = this.files.get(name);
      for (const { unit, old, version } of units) {
        if (file?.versions[unit] !== version) continue;
        file.overlay.set(unit, old);
      }
      this.world.note(`lost ${name} unit ${units[0]?.unit}`);
    }
  }
}

function fileFrom(truth: Uint8Array): SimFile {
  return { truth, size: truth.length, overlay: new Map(), versions: [] };
}

/** A copy of a range; zeros behind the end. */
function cut({ truth }: SimFile, offset: number, length: number): Uint8Array {
  if (offset + length <= truth.length) return truth.slice(offset, offset + length);
  const bytes = new Uint8Array(length);
  bytes.set(truth.subarray(offset, offset + length));
  return bytes;
}

function flip(bytes: Uint8Array, prng: Prng): void {
  const at = prng.below(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << prng.below(8));
}

/** Without holes: arrays with holes are slow. */
function countUp(versions: number[], unit: number): void {
  while (versions.length <= unit) versions.push(0);
  versions[unit] = (versions[unit] ?? 0) + 1;
}

function grow(file: SimFile, end: number): void {
  if (end <= file.size) return;
  file.size = end;
  if (end <= file.truth.length) return;
  const longer = new Uint8Array(2 * end);
  longer.set(file.truth);
  file.truth = longer;
}
