import { KeyTrust, LogPin } from "@tigerchat/sdk";
import type { PinnedCheckpoint, ProvenCheckpoint, TrustedKeys } from "@tigerchat/sdk";

function parsed(place: string): Readonly<Record<string, unknown>> {
  try {
    return { ...JSON.parse(localStorage.getItem(place) ?? "null") };
  } catch {
    return {};
  }
}

function pinPlace(room: string): string {
  return `tigerchat log ${room}`;
}

function keysPlace(origin: string): string {
  return `tigerchat keys ${origin}`;
}

function storedPin(room: string): PinnedCheckpoint | null {
  const { origin, size, root } = parsed(pinPlace(room));
  const right = typeof origin === "string" && Number.isSafeInteger(size);
  return right && typeof root === "string" ? { origin, size: Number(size), root } : null;
}

function storedKeys(origin: string): TrustedKeys | null {
  const { first, now } = parsed(keysPlace(origin));
  return typeof first === "string" && typeof now === "string" ? { first, now } : null;
}

/** The keys that this browser was given first, log by log, and those that followed them. */
export const keyTrust: KeyTrust = new KeyTrust({
  get: storedKeys,
  set: (origin, keys) => localStorage.setItem(keysPlace(origin), JSON.stringify(keys)),
  delete: (origin) => localStorage.removeItem(keysPlace(origin)),
});

/** The log that has a room, as this browser verified it first; null = not yet. */
export function knownLog(room: string): string | null {
  return storedPin(room)?.origin ?? null;
}

/** The head of the log of a room's shard, as this browser verified it last; kept in it. */
export function historyPin(room: string): LogPin {
  return new LogPin(keyTrust, storedPin(room), (pinned) => {
    localStorage.setItem(pinPlace(room), JSON.stringify(pinned));
  });
}

/** One sentence for people. */
export function historySentence({ size, cosigners }: ProvenCheckpoint): string {
  const signers = cosigners.map((name) => name.split("/").at(-1)).join(" and ");
  return (
    `Checked in this browser: the signed log of ${size} records extends all that was seen ` +
    `before, cosigned by ${signers}.`
  );
}
