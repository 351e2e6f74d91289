import { hexFrom } from "#replica/base/bytes.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import type { Entry, EntryType } from "#replica/wire/entry.ts";
import { base64From } from "./base64.ts";

/** A UUID as text. `key`: 16 bytes. */
export function uuidFrom(key: Uint8Array): string {
  const hex = hexFrom(key);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(
    16,
    20,
  )}-${hex.slice(20)}`;
}

/** Name of an entry's type in frames. */
export function typeName(type: EntryType): string {
  return type === "message" ? "msg" : type;
}

/**
 * Members of an entry as JSON text without the braces, in the order of the schema, so that one text
 * serves every encoding. A body is text when its bytes are UTF-8, whatever it was posted as.
 */
export function entryMembers(entry: Entry): string {
  const parent = entry.parent === 0 ? "" : `,"parent":${entry.parent}`;
  const from = JSON.stringify(entry.sender);
  const head = `"seq":${entry.seq},"t":${entry.timeUs},"type":"${typeName(entry.type)}"`;
  const rest = bodyMember(entry) + more(entry);
  return `${head},"from":${from},"key":"${uuidFrom(entry.key)}"${parent},${rest}`;
}

/** Members that most entries lack. */
function more(entry: Entry): string {
  const redacted = entry.redacted ? ',"redacted":true' : "";
  const only = entry.visibility === undefined ? "" : `,"only":"${entry.visibility}"`;
  return redacted + only + (entry.authority === true ? ',"authority":true' : "");
}

/** Members of an entry as they are after its redaction. */
export function redactedMembers(members: string): string {
  const entry = JSON.parse(`{${members}}`) as Readonly<Record<string, unknown>>;
  const { body: _body, body_b64: _base64, only, authority, ...head } = entry;
  return JSON.stringify({ ...head, body: "", redacted: true, only, authority }).slice(1, -1);
}

/** The body as members of an object: text when it is UTF-8. */
export function bodyText(entry: Entry): { readonly body: string } | { readonly body_b64: string } {
  const text = entry.redacted ? "" : textFromUtf8(entry.body);
  return text === null ? { body_b64: base64From(entry.body) } : { body: text };
}

function bodyMember(entry: Entry): string {
  if (entry.redacted) return '"body":""';
  const text = textFromUtf8(entry.body);
  if (text === null) return `"body_b64":"${base64From(entry.body)}"`;
  return `"body":${JSON.stringify(text)}`;
}
