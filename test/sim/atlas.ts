import type { Prng } from "#replica/base/prng.ts";
import { pipelineMax, diskUnitBytes } from "#replica/base/limits.ts";
import type { ReadFate, WriteFate } from "./sector-disk.ts";
import type { Swarm } from "./swarm.ts";

/**
 * The fault atlas: which faults of the medium may hit which machine, so that what is lost is never
 * lost legitimately. Either one machine's disk may fail anywhere, even for good; or every slot of
 * the log has one victim of its own, and only blocks that a peer can give are hit.
 */
export class Atlas {
  /**
   * No faults of disks: before all three have recorded their formation, which needs every one of
   * them, and in the liveness phase.
   */
  calm = true;
  /**
   * Damage that looks like sound but older content, so identifiers must be sound; or identifiers
   * may be damaged too and bodies are damaged visibly. Both at one place would be two faults.
   */
  readonly silent: boolean;
  /** The bad machine got another disk, which is sound. */
  replaced = false;
  private readonly swarm: Swarm;
  private readonly prng: Prng;
  private readonly victims: readonly number[];
  private readonly count: (what: string) => void;

  constructor(swarm: Swarm, prng: Prng, count: (what: string) => void) {
    this.swarm = swarm;
    this.prng = prng;
    this.count = count;
    this.silent = prng.chance(0.5);
    this.victims = Array.from({ length: swarm.walSlots }, () => prng.below(3));
  }

  /** The machine whose disk may be lost whole, or -1. */
  get badMachine(): number {
    return this.swarm.badMachine;
  }

  private failing(machine: number): boolean {
    return !this.calm && !this.replaced && machine === this.badMachine;
  }

  /** A unit of this file may decay here. `headOp`: the newest op of the machine's log. */
  mayDecay(machine: number, name: string, offset: number, headOp: number): boolean {
    // A volume with nothing but its root has no second header to go by.
    if (this.calm || headOp < 2) return false;
    if (this.badMachine >= 0) {
      return this.failing(machine) && !(this.silent && name === "identifiers");
    }
    if (name !== "prepares") return false;
    const { walSlots, slotBytes } = this.swarm;
    const slot = Math.floor(offset / slotBytes);
    if (this.victims[slot] !== machine) return false;
    // A damaged slot right above the head may hide a newer op and makes the head uncertain.
    const ahead = (slot - (headOp % walSlots) + walSlots) % walSlots;
    return ahead === 0 || ahead > 2 * pipelineMax + 2;
  }

  /** What happens to a write. */
  writeFate(machine: number, name: string, offset: number): WriteFate {
    const { disk } = this.swarm;
    if (!this.failing(machine)) return "ok";
    if (this.prng.chance(disk.writeError)) {
      this.count("write_error");
      return "error";
    }
    // The superblock's first write is judged by its second pair of copies.
    const losable = this.silent && offset >= 0 && name !== "identifiers";
    if (losable && (name !== "superblock" || offset === 0) && this.prng.chance(disk.lostWrite)) {
      this.count("lost_write");
      return "lost";
    }
    if (losable && name === "prepares" && this.prng.chance(disk.misdirected)) {
      this.count("misdirected_write");
      return "misdirected";
    }
    return "ok";
  }

  /** What happens to a read. */
  readFate(machine: number, name: string, offset: number, bytes: number, head: number): ReadFate {
    const { disk, slotBytes } = this.swarm;
    if (this.calm || disk.readError + disk.readFlip === 0) return "ok";
    if (this.badMachine >= 0 && !this.failing(machine)) return "ok";
    // A scan of many slots is nobody's: its damage would hit slots of other victims.
    const own = this.badMachine >= 0 || bytes <= slotBytes;
    if (!own || !this.mayDecay(machine, name, offset, head)) return "ok";
    if (this.prng.chance(disk.readError)) {
      this.count("read_error");
      return "error";
    }
    if (this.prng.chance(disk.readFlip)) {
      this.count("read_flip");
      return "flipped";
    }
    return "ok";
  }

  /** Where a misdirected write of prepares goes: another slot of the same machine. */
  misdirect(offset: number): number {
    const { walSlots, slotBytes } = this.swarm;
    const slot = Math.floor(offset / slotBytes);
    const other = (slot + 1 + this.prng.below(walSlots - 1)) % walSlots;
    return other * slotBytes;
  }

  /** A unit of the file to decay, as a byte offset. */
  place(bytes: number): number {
    return this.prng.below(Math.max(1, Math.ceil(bytes / diskUnitBytes))) * diskUnitBytes;
  }
}
