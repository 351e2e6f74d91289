import type { Finding } from "./conditions.ts";
import type { GenesisRecord, KeyRotation, ObservedMember, ObservedShard } from "./observed.ts";
import { isHealthy } from "./quorum.ts";
import { restartStep } from "./restart.ts";

/** What to do about another key of a replica on the volume that it has (vsr REKEY, VSR-49). */
export type RotateStep =
  | { readonly kind: "none" }
  /** Not now, or not like that: reason of the condition, with a sentence. */
  | { readonly kind: "wait"; readonly reason: WaitReason; readonly note: string }
  /** Begin or go on; `retire`: public half of the key that goes, as the replica itself has it. */
  | {
      readonly kind: "rotate";
      readonly replica: number;
      readonly retire: string;
      readonly request: string;
    }
  /** The former key is destroyed, the claims do not say so yet. */
  | { readonly kind: "settle"; readonly rotation: KeyRotation }
  /** It is done and its word is taken back: the same word may ask again later. */
  | { readonly kind: "forget" };

type WaitReason = "NoSuchReplica" | "RotationWaits";

/** An index, and anything after a dash, which makes it a new word for the same replica. */
const wordPattern = /^([0-2])(?:-[A-Za-z0-9._-]{1,60})?$/;

/**
 * Decides for a shard that is formed. `record`: what its claims say; `asked`: the annotation's
 * value. A change that a replica has begun is finished first, whoever asked for it and whether
 * anybody still does. A word that the claims record as done asks for nothing.
 */
export function rotateStep(
  observed: ObservedShard,
  record: GenesisRecord,
  asked: string | undefined,
): RotateStep {
  const { rotation } = record;
  const open = rotation === undefined || rotation.done ? null : rotation;
  const wished = asked === undefined ? null : (wordPattern.exec(asked)?.[1] ?? null);
  const begun = observed.members.find((member) => wordOf(member)?.nextKey !== undefined);
  if (begun !== undefined) {
    const { replica } = begun;
    const word = open?.replica === replica ? open.request : undefined;
    return rotate(observed, replica, word ?? (wished === String(replica) ? (asked ?? "") : ""));
  }
  if (open !== null) {
    const member = observed.members[open.replica];
    const key = member === undefined ? null : wordOf(member)?.publicKey;
    if (key === open.next) return { kind: "settle", rotation: open };
    if (key === open.retire) return rotate(observed, open.replica, open.request);
    return wait(`The key of replica ${open.replica} waits until it says which one it has.`);
  }
  if (asked === undefined) return rotation === undefined ? { kind: "none" } : { kind: "forget" };
  if (wished === null) return { kind: "wait", reason: "NoSuchReplica", note: refusal(asked) };
  if (asked === rotation?.request) return { kind: "none" };
  return rotate(observed, Number(wished), asked);
}

/** What a replica says, unless nothing proves who it is. */
function wordOf({ report, certification }: ObservedMember): ObservedMember["report"] {
  return certification === "missing" ? undefined : report;
}

function rotate(observed: ObservedShard, replica: number, request: string): RotateStep {
  if (observed.shard.spec.paused) {
    return wait(`The key of replica ${replica} waits until the shard is not paused.`);
  }
  const unwell = observed.members.find((member) => !isHealthy(member));
  if (unwell !== undefined) {
    return wait(`The key of replica ${replica} waits for replica ${unwell.replica}.`);
  }
  // One change at a time: a pod that goes away would hold the former key's end up.
  if (restartStep(observed).kind !== "none") {
    return wait(`The key of replica ${replica} waits until the pods run their template.`);
  }
  const retire = observed.members[replica]?.report?.publicKey ?? null;
  if (retire === null) return wait(`Replica ${replica} has no key yet.`);
  return { kind: "rotate", replica, retire, request };
}

function wait(note: string): RotateStep {
  return { kind: "wait", reason: "RotationWaits", note };
}

function refusal(asked: string): string {
  const value = JSON.stringify(asked.slice(0, 64));
  const how = "give it the index of a replica, 0, 1 or 2";
  const again = "to ask for the same one again put anything new after a dash, such as 1-b";
  return `tigerchat.dev/rotate-key is ${value}; ${how}; ${again}.`;
}

/** The record once that volume is a replica's: a change of the key of its volume before is over. */
export function withVoter(
  record: GenesisRecord,
  voter: GenesisRecord["members"][number],
): GenesisRecord {
  const { rotation } = record;
  const members = record.members.map((one) => (one.replica === voter.replica ? voter : one));
  if (rotation?.replica !== voter.replica) return { ...record, members };
  return { ...record, members, rotation: { ...rotation, done: true } };
}

/** The record before a key counts that was made for that step. */
export function withRotation(record: GenesisRecord, rotation: KeyRotation): GenesisRecord {
  return { ...record, rotation };
}

/** The record once the former key is destroyed. */
export function withoutFormer(record: GenesisRecord, rotation: KeyRotation): GenesisRecord {
  const { replica, next } = rotation;
  const members = record.members.map((one) => {
    return one.replica === replica ? { ...one, publicKey: next } : one;
  });
  return { ...record, members, rotation: { ...rotation, done: true } };
}

/** The record without a change that is done. */
export function withoutRotation(record: GenesisRecord): GenesisRecord {
  const { rotation: _, ...rest } = record;
  return rest;
}

/** Keys that a replica's volume may have by the record: two while one changes; none: any. */
export function keysOf(record: GenesisRecord, replica: number): readonly string[] {
  const { rotation } = record;
  const voter = record.members.find((one) => one.replica === replica);
  if (voter === undefined) return [];
  const changing = rotation?.replica === replica && !rotation.done;
  return changing ? [voter.publicKey, rotation.next] : [voter.publicKey];
}

/** The condition about it. */
export function rotateFinding(step: RotateStep, record: GenesisRecord): Finding {
  const type = "KeysUpToDate";
  switch (step.kind) {
    case "none":
    case "forget": {
      const done = step.kind === "none" ? record.rotation : undefined;
      if (done === undefined) {
        const message = "No other key of a replica is asked for.";
        return { type, status: "True", reason: "NoneAsked", message };
      }
      const word = `tigerchat.dev/rotate-key=${done.request}`;
      const message = `Replica ${done.replica} has another key, as ${word} asked.`;
      return { type, status: "True", reason: "KeyRotated", message };
    }
    case "wait":
      return { type, status: "False", reason: step.reason, message: step.note };
    case "rotate":
    case "settle": {
      const replica = step.kind === "rotate" ? step.replica : step.rotation.replica;
      const message = `Replica ${replica} gets another key.`;
      return { type, status: "False", reason: "Rotating", message };
    }
    default:
      return step satisfies never;
  }
}
