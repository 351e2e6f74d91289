import type { ErrorName } from "#edge/api/errors.ts";
import { postTypes } from "#edge/api/fields.ts";
import { bytesFromBase64 } from "#edge/fanout/base64.ts";
import { textFromUtf8, utf8From } from "#replica/base/text.ts";
import type { EntryType } from "#replica/wire/entry.ts";
import {
  decodeMember,
  decodeSanction,
  decodeSettings,
  encodeMember,
  encodeSanction,
  encodeSettings,
  isReaction,
  reactionBytesMax,
  ruleBodyBytesMax,
} from "#replica/wire/entry-body.ts";
import type { Refusal } from "./intents.ts";

/** What a post says, whether as frame or as call. */
export interface PostedMembers {
  readonly type?: string;
  readonly parent?: number;
  readonly body?: string;
  readonly body_b64?: string;
}

/** An entry as the shard takes it, or why it is no such entry. */
export type PostedEntry =
  | {
      readonly ok: true;
      readonly type: EntryType;
      readonly parent: number;
      readonly body: Uint8Array;
    }
  | { readonly ok: false; readonly refusal: Refusal };

type PostType = (typeof postTypes)[number];

const empty = new Uint8Array(0);

function no(error: ErrorName, detail: string): PostedEntry {
  return { ok: false, refusal: { error, detail } };
}

/** Members of the one spelling that the machine takes, of JSON in any order and spacing. */
function ordered(text: string, names: readonly string[]): Uint8Array | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    const found = new Map<string, unknown>(Object.entries(value));
    if (found.size !== names.length || !names.every((name) => found.has(name))) return null;
    return utf8From(
      JSON.stringify(Object.fromEntries(names.map((name) => [name, found.get(name)]))),
    );
  } catch {
    return null;
  }
}

/** The body of a rule in its one spelling; null = not what the type wants. */
function ruleBody(type: PostType, text: string): Uint8Array | null {
  if (type === "member") {
    const body = decodeMember(ordered(text, ["user", "role"]) ?? empty);
    return body === null ? null : encodeMember(body);
  }
  if (type === "settings") {
    const names = ["closed", "readonly", "fromJoin", "privateMarkers"];
    const body = decodeSettings(ordered(text, names) ?? empty);
    return body === null ? null : encodeSettings(body);
  }
  const body = decodeSanction(ordered(text, ["user", "until"]) ?? empty);
  return body === null ? null : encodeSanction(body);
}

const wanted: Readonly<Record<string, string>> = {
  member: 'A member has a body {"user","role"}, as JSON text, and no parent.',
  ban: 'A ban has a body {"user","until"}, as JSON text, and no parent.',
  mute: 'A mute has a body {"user","until"}, as JSON text, and no parent.',
  settings:
    'Settings have a body {"closed","readonly","fromJoin","privateMarkers"}, as JSON text, ' +
    "and no parent.",
};

/**
 * The entry of a post that follows the schema: its type known, parent and body as the type wants
 * them, bodies of rules in the one spelling that the machine reads.
 */
export function postedEntry(posted: PostedMembers): PostedEntry {
  const { type: named = "msg", parent = 0, body: text, body_b64: base64 } = posted;
  const type = postTypes.find((one) => one === named);
  if (type === undefined) {
    return no("DENIED", `Entries of type ${named} cannot be posted; hello lists those that can.`);
  }
  const body = text === undefined ? bytesFromBase64(base64 ?? "") : utf8From(text);
  if (type === "msg") return { ok: true, type: "message", parent, body };
  if (type in wanted) {
    const rule = parent === 0 ? ruleBody(type, textFromUtf8(body) ?? "") : null;
    return rule === null
      ? no("BAD_POST", wanted[type] ?? "")
      : { ok: true, type, parent, body: rule };
  }
  if (parent === 0) return no("BAD_POST", `An entry of type ${type} has a parent: give its seq.`);
  if (type === "marker" && body.length > 0) return no("BAD_POST", "A marker has no body.");
  if ((type === "react" || type === "unreact") && !isReaction(body)) {
    return no("BAD_POST", `A reaction is a text of 1 to ${reactionBytesMax} bytes.`);
  }
  if (type === "redact" && body.length > ruleBodyBytesMax) {
    return no("BAD_POST", `The reason of a redaction has at most ${ruleBodyBytesMax} bytes.`);
  }
  return { ok: true, type, parent, body };
}
