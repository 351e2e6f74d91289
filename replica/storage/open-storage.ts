import { assert } from "#replica/base/assert.ts";
import type { ReplicaIndex } from "#replica/base/brands.ts";
import { diskUnitBytes } from "#replica/base/limits.ts";
import { identifiersPerSector, slotOffset } from "#replica/journal/geometry.ts";
import type { Identifier, StoredIdentifier } from "#replica/journal/identifier-sector.ts";
import {
  type RecoveredWal,
  recoverWal,
  type SlotFacts,
  type SlotVerdict,
} from "#replica/journal/recover-wal.ts";
import type { RecoveredState } from "#replica/wire/storage-port.ts";
import type { SlotState } from "./prepare-writer.ts";
import { loadSuperblock, type LoadedSuperblock } from "./load-superblock.ts";
import { refuseBeyond, refuseHeadless, refuseIo, refuseKeys } from "./refusals.ts";
import { type DurableState, ReplicaStorage } from "./replica-storage.ts";
import { type LogScan, scanLog, slotFacts } from "./scan-log.ts";
import type { Refusal, StorageTools } from "./storage-tools.ts";
import { Volume } from "./volume.ts";

const zone = { kind: "prepares" } as const;
/** Slots that are written again at once while opening. */
const rewritesMax = 4;

/** What must be found on the volume: anything else is the wrong volume. */
export interface OpenOptions extends StorageTools {
  readonly cluster: string;
  readonly shard: string;
  readonly replica: ReplicaIndex;
}

/** An opened volume, read and judged. */
export interface Opened {
  readonly ok: true;
  readonly storage: ReplicaStorage;
  readonly recovered: RecoveredState;
  /** One a slot that is not as it should be, or that recovery decided: for logs and coverage. */
  readonly verdicts: readonly SlotVerdict[];
}

/**
 * Opens a formatted volume: superblock, scan of both rings, decision table, live slots rewritten
 * byte-identically. Changes nothing when it refuses. `done` is called once, later; after a failed
 * write the volume is poisoned instead.
 */
export function openStorage(options: OpenOptions, done: (r: Opened | Refusal) => void): void {
  loadSuperblock(options, options, (loaded) => {
    if (!loaded.ok) {
      done(loaded);
      return;
    }
    const { state, slotBytes } = loaded.content;
    const geometry = { slotsCount: state.identity.walSlotsCount, slotBytes };
    const volume = new Volume(options, state.identity, geometry);
    scanLog(volume, (scan) => judge(volume, loaded, scan, done));
  });
}

function judge(
  volume: Volume,
  loaded: LoadedSuperblock,
  scan: LogScan,
  done: (r: Opened | Refusal) => void,
): void {
  const { geometry } = volume;
  const superblock = loaded.content.state;
  const whole = scan.scans.filter((facts) => facts.kind === "whole").length;
  if (whole === 0 && scan.unopened > 0) {
    done(refuseKeys(scan.unopened));
    return;
  }
  const wal = recoverWal({ geometry, superblock, ...scan });
  if (wal.beyond !== null) {
    done(refuseBeyond(wal.beyond, superblock.checkpoint.op + geometry.slotsCount));
    return;
  }
  const headed = wal.slots.some((slot) => slot.state !== "empty" && slot.header !== null);
  if (!headed && superblock.viewHeaders.length === 0) {
    done(refuseHeadless(geometry.slotsCount));
    return;
  }
  // From here on the volume is changed, so it is known to be ours, whole and not from another day.
  loaded.heal((healed) => {
    // A failed write is the end of this disk, at open as later: no refusal that a retry passes.
    if (healed === "error") volume.poison("write of superblock failed while opening");
    else rewriteLive(volume, loaded, scan, wal, done);
  });
}

/** Live clean slots are written again as they are: the kernel may hold what the disk never got. */
function rewriteLive(
  volume: Volume,
  loaded: LoadedSuperblock,
  scan: LogScan,
  wal: RecoveredWal,
  done: (r: Opened | Refusal) => void,
): void {
  const checkpointOp = loaded.content.state.checkpoint.op;
  const live = wal.verdicts.filter((v) => v.state === "clean" && v.op > checkpointOp);
  let index = 0;
  let running = 0;
  let failed = false;
  const pump = (): void => {
    while (running < rewritesMax && index < live.length && !failed) {
      const verdict = live[index];
      assert(verdict !== undefined, "STO-07: a live slot");
      index += 1;
      running += 1;
      rewriteSlot(volume, verdict, scan.scans[verdict.slot], (result) => {
        running -= 1;
        if (failed) return;
        failed = result !== "ok";
        const offset = slotOffset(verdict.slot, volume.geometry);
        if (result === "ok") pump();
        else if (result === "unread") done(refuseIo("prepares", offset, "a read"));
        else volume.poison(`write of prepares at byte ${offset} failed while opening`);
      });
    }
    if (running === 0 && !failed) finish(volume, loaded, scan, wal, live, done);
  };
  pump();
}

function rewriteSlot(
  volume: Volume,
  verdict: SlotVerdict,
  facts: SlotFacts | undefined,
  done: (result: "ok" | "unread" | "lost") => void,
): void {
  assert(facts?.kind === "whole", "STO-07: a clean slot was whole");
  const { disk } = volume.tools;
  const offset = slotOffset(verdict.slot, volume.geometry);
  disk.read(zone, offset, facts.units * diskUnitBytes, (bytes) => {
    const again = slotFacts(volume, verdict.slot, bytes);
    const same =
      again.kind === "whole" &&
      again.id.keyId === facts.id.keyId &&
      again.id.counter === facts.id.counter;
    if (bytes === null || !same) done("unread");
    else disk.write(zone, offset, bytes, (result) => done(result === "ok" ? "ok" : "lost"));
  });
}

function sameEntry(is: Identifier, wanted: StoredIdentifier): boolean {
  if (is.state !== wanted.state) return false;
  if (is.state === "absent" || wanted.state === "absent") return true;
  return is.op === wanted.op && is.header?.checksum === wanted.header?.checksum;
}

function slotStateOf(verdict: SlotVerdict, facts: SlotFacts | undefined): SlotState {
  const id = facts?.kind === "whole" ? facts.id.keyId : 0;
  const units = facts?.kind === "whole" ? facts.units : 0;
  const { state, header } = verdict;
  return { state, header, keyId: id, units, writes: 0 };
}

function finish(
  volume: Volume,
  loaded: LoadedSuperblock,
  scan: LogScan,
  wal: RecoveredWal,
  live: readonly SlotVerdict[],
  done: (r: Opened | Refusal) => void,
): void {
  const changed: { slot: number; entry: StoredIdentifier }[] = [];
  const sectors = new Set<number>(scan.sectorsDamaged);
  for (const verdict of wal.verdicts) {
    const is = scan.identifiers[verdict.slot];
    assert(is !== undefined, "STO-07: one identifier a slot");
    const entry = verdict.identifier;
    if (!sameEntry(is, entry)) changed.push({ slot: verdict.slot, entry });
  }
  for (const verdict of live) sectors.add(Math.floor(verdict.slot / identifiersPerSector));
  const { link, checksum, content } = loaded;
  const durable: DurableState = {
    slots: wal.verdicts.map((verdict) => slotStateOf(verdict, scan.scans[verdict.slot])),
    identifiers: wal.verdicts.map((verdict) => verdict.identifier),
    sectors: scan.sectors,
    superblock: { ...link, checksum, state: content.state },
  };
  const storage = new ReplicaStorage(volume, durable);
  const recovered = { superblock: content.state, slots: wal.slots };
  storage.restate(changed, [...sectors], () => {
    done({ ok: true, storage, recovered, verdicts: wal.verdicts });
  });
}
