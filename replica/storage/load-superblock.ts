import type { Checksum, ReplicaIndex } from "#replica/base/brands.ts";
import { diskUnitBytes, walSlotBytes } from "#replica/base/limits.ts";
import {
  chooseSuperblock,
  decodeSuperblockCopy,
  encodeSuperblock,
  poisonMarkAt,
  superblockCopies,
  superblockCopyBytes,
  type SuperblockChoice,
  type SuperblockLink,
  superblockZoneBytes,
} from "#replica/journal/superblock-copies.ts";
import type { SuperblockContent } from "#replica/journal/superblock-codec.ts";
import { decodePoisonMark } from "./poison-mark.ts";
import {
  refuseChoice,
  refuseIdentity,
  refuseIo,
  refuseLostSuperblock,
  refusePoisoned,
  refuseUnformatted,
} from "./refusals.ts";
import type { Refusal, StorageTools } from "./storage-tools.ts";

const zone = { kind: "superblock" } as const;
const pairBytes = 2 * superblockCopyBytes;
const identifiersLookBytes = 256 * 1024;

/** A superblock that may be used, not yet written again. */
export interface LoadedSuperblock {
  readonly ok: true;
  readonly content: SuperblockContent;
  readonly checksum: Checksum;
  readonly link: SuperblockLink;
  /** Makes all four copies equal and durable: damaged or older ones first, then every one. */
  heal(done: (r: "ok" | "error") => void): void;
}

/** The four copies and the poison mark as they lie in the zone. */
export function readSuperblockZone(
  tools: StorageTools,
  zoneBytes: Uint8Array,
): { readonly choice: SuperblockChoice; readonly poison: string | null } {
  const copies = Array.from({ length: superblockCopies }, (_, copy) => {
    const at = copy * superblockCopyBytes;
    return decodeSuperblockCopy(tools, zoneBytes.subarray(at, at + superblockCopyBytes), copy);
  });
  const unit = zoneBytes.subarray(poisonMarkAt, poisonMarkAt + diskUnitBytes);
  return { choice: chooseSuperblock(copies), poison: decodePoisonMark(tools, unit) };
}

/** Reads and judges the superblock; refuses a volume that is not the expected one. */
export function loadSuperblock(
  tools: StorageTools,
  expected: { readonly cluster: string; readonly shard: string; readonly replica: ReplicaIndex },
  done: (r: LoadedSuperblock | Refusal) => void,
): void {
  tools.disk.read(zone, 0, superblockZoneBytes, (bytes) => {
    if (bytes === null) {
      done(refuseIo("superblock", 0, "a read"));
      return;
    }
    const { choice, poison } = readSuperblockZone(tools, bytes);
    if (poison !== null) {
      done(refusePoisoned(poisonMarkAt, poison));
    } else if (choice.kind === "blank" || choice.kind === "unfinished") {
      const code = choice.kind === "blank" ? "unformatted" : "half_formatted";
      hasLog(tools, (log) => done(log ? refuseLostSuperblock() : refuseUnformatted(code)));
    } else if (choice.kind === "refused") {
      done(refuseChoice(choice.code, choice.copy * superblockCopyBytes, choice.detail));
    } else {
      done(refuseIdentity(choice.content.state.identity, expected) ?? loadedFrom(tools, choice));
    }
  });
}

/**
 * True when a log was ever written here: a format leaves only the root, in the first slot and the
 * first identifier sector, and the first prepare after it changes another place of both.
 */
export function hasLog(tools: StorageTools, done: (log: boolean) => void): void {
  const slotBytes = tools.slotBytes ?? walSlotBytes;
  const { disk } = tools;
  disk.read({ kind: "prepares" }, slotBytes, diskUnitBytes, (unit) => {
    disk.read({ kind: "identifiers" }, diskUnitBytes, identifiersLookBytes, (sectors) => {
      const found = [unit, sectors].some((bytes) => bytes?.some((byte) => byte !== 0) ?? false);
      done(found);
    });
  });
}

function loadedFrom(
  tools: StorageTools,
  choice: Extract<SuperblockChoice, { readonly kind: "chosen" }>,
): LoadedSuperblock {
  const { content, checksum, link, stale } = choice;
  return {
    ok: true,
    content,
    checksum,
    link,
    heal(done) {
      const buffer = new Uint8Array(superblockCopies * superblockCopyBytes);
      encodeSuperblock(tools, content, link, buffer);
      const places = stale.map((copy) => [copy * superblockCopyBytes, superblockCopyBytes]);
      places.push([0, pairBytes], [pairBytes, pairBytes]);
      const next = (index: number): void => {
        const [offset, bytes] = places[index] ?? [];
        if (offset === undefined || bytes === undefined) {
          done("ok");
          return;
        }
        tools.disk.write(zone, offset, buffer.subarray(offset, offset + bytes), (result) => {
          if (result === "ok") next(index + 1);
          else done("error");
        });
      };
      next(0);
    },
  };
}
