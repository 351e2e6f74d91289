import { textFromUtf8, utf8From } from "#replica/base/text.ts";
import { nameBytesMax } from "#replica/base/limits.ts";

/*
 * Bodies that the machine reads: JSON text in exactly one spelling (members in the order below, no
 * white space), so that readers of history see plain text and two encoders agree on every byte.
 * Bodies of messages and edits are opaque; a reaction's is the reaction itself.
 */

/** Bytes of a body that the machine reads at most. */
export const ruleBodyBytesMax = 1024;
/** Bytes of a reaction, 1 to this, UTF-8. */
export const reactionBytesMax = 64;
/** A ban or mute without end: log time in microseconds. */
export const untilForever = Number.MAX_SAFE_INTEGER;

/** Roles from the least to the most; `none` = no member. The position is the state's number. */
export const roles = ["none", "reader", "member", "moderator", "owner"] as const;

/** What somebody is in a room. */
export type Role = (typeof roles)[number];

/** Body of a `member` entry. */
export interface MemberBody {
  readonly user: string;
  readonly role: Role;
}

/** Body of a `ban` or `mute` entry. `until`: log time in microseconds, 0 = lifted. */
export interface SanctionBody {
  readonly user: string;
  readonly until: number;
}

/** Body of a `settings` entry: all of them, each time. */
export interface SettingsBody {
  /** Only members may read and post. */
  readonly closed: boolean;
  /** Only moderators and owners may post messages. */
  readonly readonly: boolean;
  /** Members see what was committed since they joined. */
  readonly fromJoin: boolean;
  /** Read markers are seen by their sender only. */
  readonly privateMarkers: boolean;
}

/** Bytes of a body. */
export function encodeMember(body: MemberBody): Uint8Array {
  return utf8From(JSON.stringify({ user: body.user, role: body.role }));
}

/** Bytes of a body. */
export function encodeSanction(body: SanctionBody): Uint8Array {
  return utf8From(JSON.stringify({ user: body.user, until: body.until }));
}

/** Bytes of a body. */
export function encodeSettings(body: SettingsBody): Uint8Array {
  const { closed, readonly, fromJoin, privateMarkers } = body;
  return utf8From(JSON.stringify({ closed, readonly, fromJoin, privateMarkers }));
}

/** The members of a JSON object, or null. */
function parse(bytes: Uint8Array): ReadonlyMap<string, unknown> | null {
  if (bytes.length > ruleBodyBytesMax) return null;
  const text = textFromUtf8(bytes);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    // Any other spelling than the one of JSON.stringify is refused, duplicate names among them.
    return JSON.stringify(value) === text ? new Map(Object.entries(value)) : null;
  } catch {
    return null;
  }
}

function namesAre(members: ReadonlyMap<string, unknown>, names: readonly string[]): boolean {
  return [...members.keys()].join() === names.join();
}

function userOf(members: ReadonlyMap<string, unknown>): string | null {
  const user = members.get("user");
  if (typeof user !== "string" || user.length === 0) return null;
  return utf8From(user).length <= nameBytesMax ? user : null;
}

/** Reads a body; null when it is no such body. Never throws. */
export function decodeMember(bytes: Uint8Array): MemberBody | null {
  const members = parse(bytes);
  if (members === null || !namesAre(members, ["user", "role"])) return null;
  const user = userOf(members);
  const role = roles.find((one) => one === members.get("role"));
  return user === null || role === undefined ? null : { user, role };
}

/** Reads a body; null when it is no such body. Never throws. */
export function decodeSanction(bytes: Uint8Array): SanctionBody | null {
  const members = parse(bytes);
  if (members === null || !namesAre(members, ["user", "until"])) return null;
  const user = userOf(members);
  const until = members.get("until");
  if (user === null || typeof until !== "number") return null;
  return Number.isSafeInteger(until) && until >= 0 ? { user, until } : null;
}

/** Reads a body; null when it is no such body. Never throws. */
export function decodeSettings(bytes: Uint8Array): SettingsBody | null {
  const members = parse(bytes);
  const names = ["closed", "readonly", "fromJoin", "privateMarkers"];
  if (members === null || !namesAre(members, names)) return null;
  const [closed, readonly, fromJoin, privateMarkers] = [...members.values()];
  if (typeof closed !== "boolean" || typeof readonly !== "boolean") return null;
  if (typeof fromJoin !== "boolean" || typeof privateMarkers !== "boolean") return null;
  return { closed, readonly, fromJoin, privateMarkers };
}

/** True for the body of a reaction. */
export function isReaction(bytes: Uint8Array): boolean {
  return bytes.length >= 1 && bytes.length <= reactionBytesMax && textFromUtf8(bytes) !== null;
}
