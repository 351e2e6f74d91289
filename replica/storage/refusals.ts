import type { ReplicaIndex } from "#replica/base/brands.ts";
import type { VolumeIdentity } from "#replica/wire/superblock.ts";
import type { Refusal } from "./storage-tools.ts";

const replace = "Replace this replica's volume (its two peers hold the log); do not edit the file.";

/** A refusal of the superblock file. */
export function refuse(code: Refusal["code"], offset: number, message: string): Refusal {
  return { ok: false, code, file: "superblock", offset, message };
}

/** No superblock, and no sign that there ever was one. */
export function refuseUnformatted(code: "unformatted" | "half_formatted"): Refusal {
  const what = code === "unformatted" ? "is empty" : "was never finished";
  return refuse(code, 0, `superblock ${what} (byte 0): this volume waits for its genesis.`);
}

/** The superblock is gone but the log is not. */
export function refuseLostSuperblock(): Refusal {
  const what = "superblock is empty at byte 0, but the file prepares holds a log.";
  return refuse("corrupt_superblock", 0, `${what} ${replace}`);
}

/** The four copies do not make a superblock. */
export function refuseChoice(
  code: "fork" | "old_format" | "corrupt_superblock",
  offset: number,
  detail: string,
): Refusal {
  const remedy =
    code === "old_format"
      ? "Start the release that wrote this volume, or replace the volume."
      : replace;
  const why = {
    fork: "was rolled back, copied or written by two processes",
    old_format: "has another on-disk format",
    corrupt_superblock: "is damaged",
  }[code];
  return refuse(code, offset, `superblock ${why} (byte ${offset}: ${detail}). ${remedy}`);
}

/** The volume belongs to someone else; null when it is the expected one. */
export function refuseIdentity(
  found: VolumeIdentity,
  expected: { readonly cluster: string; readonly shard: string; readonly replica: ReplicaIndex },
): Refusal | null {
  const rows = [
    ["cluster", found.cluster, expected.cluster],
    ["shard", found.shard, expected.shard],
    ["replica", String(found.replica), String(expected.replica)],
  ] as const;
  for (const [what, is, wanted] of rows) {
    if (is === wanted) continue;
    const said = `superblock (byte 128) names ${what} ${is}, this replica is ${wanted}.`;
    const remedy = "Mount the right volume, or give the data directory of this replica.";
    return refuse("wrong_volume", 128, `${said} ${remedy}`);
  }
  return null;
}

/** A write failed here before. */
export function refusePoisoned(offset: number, why: string): Refusal {
  const said = `superblock (byte ${offset}) marks this volume as lost: ${why}.`;
  return refuse("poisoned", offset, `${said} ${replace}`);
}

/** The log reaches further than the superblock allows. */
export function refuseBeyond(op: number, last: number): Refusal {
  const said = `prepares holds op ${op}, beyond ${last}, the last that the superblock allows:`;
  const why = "the superblock is older than the log, so files of two moments were mixed.";
  return { ...refuse("fork", 0, `${said} ${why} ${replace}`), file: "prepares" };
}

/** Both rings are damaged all over, and the superblock names no header: no head to start from. */
export function refuseHeadless(slotsCount: number): Refusal {
  const said = `none of the ${slotsCount} slots of prepares (byte 0 on) nor of identifiers`;
  const message = `${said} holds a readable header, so the log's head is unknown. ${replace}`;
  return { ok: false, code: "corrupt_log", file: "prepares", offset: 0, message };
}

/** Whole slots, none of which opens. */
export function refuseKeys(slots: number): Refusal {
  const said = `none of the ${slots} prepares can be decrypted with the keys in keys/data-keys.`;
  const remedy = "Restore that file, or replace this replica's volume.";
  return {
    ok: false,
    code: "wrong_key",
    file: "keys/data-keys",
    offset: 0,
    message: `${said} ${remedy}`,
  };
}

/** The device gave no answer where one is needed. */
export function refuseIo(file: string, offset: number, doing: string): Refusal {
  const remedy = "Look at the disk, then replace this replica's volume.";
  const message = `${file}: ${doing} at byte ${offset} failed. ${remedy}`;
  return { ok: false, code: "io", file, offset, message };
}

/** Genesis on a volume that has had one. */
export function refuseFormatted(file: string, offset: number, what: string): Refusal {
  const refused = "this volume is formatted already and will not be formatted again.";
  const message = `${file} (byte ${offset}) ${what}: ${refused} Use an empty data directory.`;
  return { ok: false, code: "already_formatted", file, offset, message };
}
