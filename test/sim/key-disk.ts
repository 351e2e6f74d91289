import type { Prng } from "#replica/base/prng.ts";
import type { CopyWrite } from "#replica/crypto/key-ring.ts";

/** What lands or not when power is cut. */
const sectorBytes = 512;
/** Bytes of a copy as far as runs use it. */
const copyBytes = 16 * 1024;

/** The two copies as a read returns them. */
export type KeyCopies = readonly [Uint8Array, Uint8Array];

/** What befalls a write that is asked for. */
export type KeyWriteFate = "ok" | "lost";

/**
 * The file of wrapped data keys on a simulated disk. A fault hits one copy only while the other has
 * all that was written to it: two at once would lose keys legitimately ({@link destroy}).
 */
export class KeyDisk {
  private copies: [Uint8Array, Uint8Array] = [blank(), blank()];
  /** Whether a copy reads as it was last written. */
  private sound: [boolean, boolean] = [true, true];
  private pending: CopyWrite | null = null;
  /** Writes of the process that lives, since a change began; for coverage. */
  private landed = 0;
  /** Both copies are gone. */
  destroyed = false;

  /** What lies there, not copied. */
  get bytes(): KeyCopies {
    return this.copies;
  }

  /** A write is under way. */
  begin(write: CopyWrite): void {
    if (this.pending !== null) throw new Error("sim: two writes of the keys' table at once");
    if (write.bytes.length > copyBytes) throw new Error("sim: more data keys than foreseen");
    this.pending = write;
  }

  /** A fault of that write would be the only one. */
  get mayFail(): boolean {
    return this.pending !== null && this.sound[other(this.pending.place)];
  }

  /** The device says that the write is done. */
  finish(fate: KeyWriteFate): void {
    const write = this.pending;
    if (write === null) throw new Error("sim: no write of the keys' table");
    this.pending = null;
    this.landed = (this.landed + 1) % 2;
    if (fate === "ok") this.copies[write.place].set(write.bytes);
    this.sound[write.place] = fate === "ok";
  }

  /** Power is cut; what happened to the table. */
  crash(prng: Prng): "idle" | "between" | "torn" | "landed" {
    const write = this.pending;
    const { landed } = this;
    this.landed = 0;
    if (write === null) return "idle";
    const torn = this.mayFail && prng.chance(0.6);
    this.pending = null;
    if (!torn && prng.chance(0.5)) {
      this.copies[write.place].set(write.bytes);
      this.sound[write.place] = true;
      return "landed";
    }
    if (!torn) return landed === 1 ? "between" : "idle";
    for (let at = 0; at < write.bytes.length; at += sectorBytes) {
      const sector = write.bytes.subarray(at, at + sectorBytes);
      if (prng.chance(0.5)) this.copies[write.place].set(sector, at);
    }
    this.sound[write.place] = false;
    return "torn";
  }

  /** One copy decays; false: it would be the second fault. */
  decay(prng: Prng): boolean {
    const place = prng.chance(0.5) ? 0 : 1;
    if (!this.sound[other(place)] || this.destroyed) return false;
    this.spoil(place, prng);
    return true;
  }

  /** Both copies decay: the volume is lost. */
  destroy(prng: Prng): void {
    this.destroyed = true;
    for (const place of [0, 1] as const) this.spoil(place, prng);
  }

  /** What lies there, to be put there again. */
  snapshot(): { readonly copies: KeyCopies; readonly sound: readonly [boolean, boolean] } {
    const [first, second] = this.copies;
    return { copies: [first.slice(), second.slice()], sound: [this.sound[0], this.sound[1]] };
  }

  /** Puts a copy in the place of everything. */
  restore({ copies, sound }: ReturnType<KeyDisk["snapshot"]>): void {
    this.copies = [copies[0].slice(), copies[1].slice()];
    this.sound = [sound[0], sound[1]];
    this.pending = null;
    this.landed = 0;
    this.destroyed = false;
  }

  private spoil(place: 0 | 1, prng: Prng): void {
    const copy = this.copies[place];
    const used = 128 + 72 * Math.min(100, new DataView(copy.buffer).getUint32(36, true));
    const at = prng.below(Math.min(used, copy.length));
    copy[at] = (copy[at] ?? 0) ^ (1 << prng.below(8));
    this.sound[place] = false;
  }
}

function blank(): Uint8Array {
  return new Uint8Array(copyBytes);
}

function other(place: 0 | 1): 0 | 1 {
  return place === 0 ? 1 : 0;
}
