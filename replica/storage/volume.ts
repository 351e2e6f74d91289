import { utf8From } from "#replica/base/text.ts";
import { bytesFromHex, writeU64 } from "#replica/base/bytes.ts";
import { diskUnitBytes } from "#replica/base/limits.ts";
import { mutated } from "#replica/base/mutation.ts";
import type { Sealed } from "#replica/crypto/vault.ts";
import type { WalGeometry } from "#replica/journal/geometry.ts";
import { poisonMarkAt } from "#replica/journal/superblock-copies.ts";
import type { SlotBody } from "#replica/journal/wal-slot.ts";
import type { PrepareHeader } from "#replica/wire/prepare.ts";
import type { WriteMode, Zone } from "#replica/wire/storage-port.ts";
import type { VolumeIdentity } from "#replica/wire/superblock.ts";
import { encodePoisonMark } from "./poison-mark.ts";
import type { StorageTools } from "./storage-tools.ts";

declare const MUTATIONS: boolean | undefined;

// Additional data of every ciphertext: cluster 16, shard 40, incarnation 16, then for a prepare
// zone 1 u32, slot u32, op u64, view u64, header checksum 32; for a block zone 2 u32, block u32,
// segment id 40, zeros. 128 bytes.
const identityBytes = 72;
const aadBytes = 128;
const zonePrepares = 1;
const zoneSegment = 2;

/** `later` calls after which a stop no longer waits for the poison mark: about 200 ms. */
const poisonPatience = 25;

/** One opened volume as its writers share it: identity, sizes, and the one way to fail. */
export class Volume {
  readonly tools: StorageTools;
  readonly identity: VolumeIdentity;
  readonly geometry: WalGeometry;
  private readonly aad: Uint8Array;
  private readonly aadView: DataView;
  private lost = false;
  private told = false;

  constructor(tools: StorageTools, identity: VolumeIdentity, geometry: WalGeometry) {
    this.tools = tools;
    this.identity = identity;
    this.geometry = geometry;
    this.aad = new Uint8Array(aadBytes);
    this.aadView = new DataView(this.aad.buffer);
    this.aad.set(bytesFromHex(identity.cluster), 0);
    this.aad.set(utf8From(identity.shard), 16);
    this.aad.set(bytesFromHex(identity.incarnation), 56);
  }

  /** True once a write failed: nothing completes any more. */
  get poisoned(): boolean {
    return this.lost;
  }

  /** A write whose failure poisons the volume instead of completing. */
  write(
    zone: Zone,
    offset: number,
    bytes: Uint8Array,
    done: () => void,
    mode: WriteMode = "queued",
  ): void {
    if (this.lost) return;
    if ((typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("skip_sync")) {
      // The bug: what was handed to the disk counts as being on it.
      this.tools.disk.write(zone, offset, bytes, () => undefined);
      this.tools.later(done);
      return;
    }
    const settle = (result: "ok" | "error"): void => {
      this.settle(result, done, () => `write of ${zoneName(zone)} at byte ${offset} failed`);
    };
    this.tools.disk.write(zone, offset, bytes, settle, mode);
  }

  /** Completes `done`, or poisons. */
  settle(result: "ok" | "error", done: () => void, what: () => string): void {
    if (this.lost) return;
    const deaf = (typeof MUTATIONS === "undefined" || MUTATIONS) && mutated("ignore_write_error");
    if (result === "ok" || deaf) done();
    else this.poison(what());
  }

  /** Marks the volume if that still works, then tells the process to stop. Never a retry. */
  poison(why: string): void {
    if (this.lost) return;
    this.lost = true;
    const tell = (): void => {
      if (this.told) return;
      this.told = true;
      this.tools.poisoned(why);
    };
    const mark = encodePoisonMark(this.tools, why);
    this.tools.disk.write({ kind: "superblock" }, poisonMarkAt, mark, tell);
    let turns = 0;
    const wait = (): void => {
      turns += 1;
      if (this.told) return;
      if (turns > poisonPatience) tell();
      else this.tools.later(wait);
    };
    this.tools.later(wait);
  }

  private aadOf(zone: number, index: number): Uint8Array {
    this.aad.fill(0, identityBytes);
    this.aadView.setUint32(identityBytes, zone, true);
    this.aadView.setUint32(identityBytes + 4, index, true);
    return this.aad;
  }

  private prepareAad(slot: number, header: PrepareHeader): Uint8Array {
    const aad = this.aadOf(zonePrepares, slot);
    writeU64(this.aadView, identityBytes + 8, header.op);
    writeU64(this.aadView, identityBytes + 16, header.view);
    aad.set(bytesFromHex(header.checksum), identityBytes + 24);
    return aad;
  }

  /** Encrypts the body of a prepare for its slot. */
  sealPrepare(slot: number, header: PrepareHeader, body: Uint8Array): Sealed {
    return this.tools.vault.seal("wal", this.prepareAad(slot, header), body);
  }

  /** Decrypts and checks the body found in a slot; null when it is not that header's. */
  openPrepare(slot: number, header: PrepareHeader, body: SlotBody): Uint8Array | null {
    const plain = this.tools.vault.open(body, this.prepareAad(slot, header));
    if (plain === null || plain.length !== header.bodyBytes) return null;
    return this.tools.hash(plain) === header.bodyChecksum ? plain : null;
  }

  private blockAad(id: string, block: number): Uint8Array {
    const aad = this.aadOf(zoneSegment, block);
    aad.set(utf8From(id), identityBytes + 8);
    return aad;
  }

  /** Encrypts one block of a segment. */
  sealBlock(id: string, block: number, plain: Uint8Array): Sealed {
    return this.tools.vault.seal("segment", this.blockAad(id, block), plain);
  }

  /** Decrypts one block of a segment; null when damaged. */
  openBlock(id: string, block: number, sealed: Sealed): Uint8Array | null {
    return this.tools.vault.open(sealed, this.blockAad(id, block));
  }
}

/** The file of a zone within the data directory, for messages. */
export function zoneName(zone: Zone): string {
  return zone.kind === "segment" ? `segments/${zone.id}` : zone.kind;
}

/** Unit of a byte, for messages that name a damaged place. */
export function unitStart(offset: number): number {
  return offset - (offset % diskUnitBytes);
}
