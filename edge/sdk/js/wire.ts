// Own code for the published frames: a second implementation, held to the shared vectors.
import { ChatError } from "./chat-error.ts";
import type { ChatEntry, LogCheckpoint, Page, PostAck, Skip, Standing } from "./types.ts";

/** Subprotocol of the JSON encoding. */
export const subprotocol = "tigerchat.v1.json";
/** Bytes of a body, at most. */
export const bodyBytesMax = 16_384;

/** A frame of the edge, as the SDK uses it. */
export type ServerFrame =
  | { readonly op: "hello"; readonly pingMs: number; readonly pongMs: number }
  | { readonly op: "ok"; readonly id: string; readonly result: Result }
  | {
      readonly op: "err";
      readonly id: string;
      readonly room: string | null;
      readonly thread: number | null;
      readonly error: ChatError;
    }
  | {
      readonly op: "attached";
      readonly id: string;
      readonly room: string;
      readonly thread: number | null;
      readonly rid: number;
      readonly epoch: number;
      readonly head: number;
      readonly floor: number;
      readonly next: number;
      readonly recovered: boolean;
      readonly you: Standing | null;
    }
  | { readonly op: "ev"; readonly rid: number; readonly entry: ChatEntry }
  | { readonly op: "skip"; readonly rid: number; readonly to: number }
  | { readonly op: "head"; readonly rid: number; readonly seq: number }
  | { readonly op: "gap"; readonly rid: number; readonly from: number; readonly to: number }
  | { readonly op: "signal"; readonly rid: number; readonly kind: string; readonly from: string }
  | ({ readonly op: "ckpt"; readonly rid: number } & LogCheckpoint)
  | { readonly op: "ping" }
  | { readonly op: "drain"; readonly windowMs: number };

/** Result of an `ok`, by its members. */
export type Result =
  | { readonly kind: "post"; readonly ack: PostAck }
  | { readonly kind: "page"; readonly page: Page }
  | { readonly kind: "refresh"; readonly expiresS: number }
  | { readonly kind: "empty" };

type Members = Readonly<Record<string, unknown>>;

/** A frame that does not follow the schema. */
class BadFrame extends Error {}

function members(value: unknown): Members {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new BadFrame();
  return value as Members;
}

function text(from: Members, name: string): string {
  const value = from[name];
  if (typeof value !== "string") throw new BadFrame(name);
  return value;
}

function optionalText(from: Members, name: string): string | null {
  return from[name] === undefined ? null : text(from, name);
}

function flag(from: Members, name: string): boolean {
  const value = from[name];
  if (typeof value !== "boolean") throw new BadFrame(name);
  return value;
}

function count(from: Members, name: string, min = 0): number {
  const value = from[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min) {
    throw new BadFrame(name);
  }
  return value;
}

function id(from: Members, name: string): string {
  const value = text(from, name);
  if (!/^[A-Za-z0-9][A-Za-z0-9._:~@+-]{0,127}$/.test(value)) throw new BadFrame(name);
  return value;
}

function keyFrom(from: Members): string {
  const value = text(from, "key");
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
  if (!form.test(value)) throw new BadFrame("key");
  return value.toLowerCase();
}

/** An entry of an `ev` frame or of a page. Throws when malformed. */
function entryFrom(value: unknown): ChatEntry {
  const from = members(value);
  const body = optionalText(from, "body");
  const bodyBase64 = optionalText(from, "body_b64");
  const type = text(from, "type");
  if (!/^[a-z][a-z_]{0,31}$/.test(type)) throw new BadFrame("type");
  return {
    seq: count(from, "seq", 1),
    timeUs: count(from, "t"),
    type,
    from: id(from, "from"),
    key: keyFrom(from),
    parent: from["parent"] === undefined ? null : count(from, "parent", 1),
    body,
    bodyBase64,
    redacted: from["redacted"] === true,
    only: optionalText(from, "only"),
  };
}

function threadFrom(from: Members): number | null {
  return from["thread"] === undefined ? null : count(from, "thread", 1);
}

function standingFrom(value: unknown): Standing | null {
  if (value === undefined) return null;
  const from = members(value);
  const muted = from["muted_until"] === undefined ? null : count(from, "muted_until");
  return { role: text(from, "role"), marker: count(from, "marker"), mutedUntilUs: muted };
}

function skipsFrom(value: unknown): readonly Skip[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new BadFrame("skips");
  return value.map((each) => {
    const from = members(each);
    return { from: count(from, "from", 1), to: count(from, "to", 1) };
  });
}

function resultFrom(value: unknown): Result {
  const from = members(value);
  if (Array.isArray(from["events"])) {
    const entries = from["events"].map(entryFrom);
    const epoch = count(from, "epoch");
    return {
      kind: "page",
      page: {
        entries,
        skips: skipsFrom(from["skips"]),
        epoch,
        head: count(from, "head"),
        floor: count(from, "floor"),
      },
    };
  }
  if (from["seq"] !== undefined) {
    const dup = from["dup"] === undefined ? false : flag(from, "dup");
    const [epoch, seq, timeUs] = [count(from, "epoch"), count(from, "seq", 1), count(from, "t")];
    return { kind: "post", ack: { epoch, seq, timeUs, dup } };
  }
  if (from["expires"] === undefined) return { kind: "empty" };
  return { kind: "refresh", expiresS: count(from, "expires") };
}

function errorFrom(from: Members): ChatError {
  const code = count(from, "code", 400);
  const name = text(from, "name");
  if (code > 599 || !/^[A-Z_]{1,32}$/.test(name)) throw new BadFrame("code");
  const retryMs = from["retry_ms"] === undefined ? null : count(from, "retry_ms");
  const [message, retryable] = [text(from, "message"), flag(from, "retryable")];
  return new ChatError({ code, name, message, retryable, retryMs });
}

function frameFrom(from: Members): ServerFrame | null {
  const op = text(from, "op");
  switch (op) {
    case "hello":
      return helloFrom(from);
    case "ok":
      return { op, id: text(from, "id"), result: resultFrom(from["result"]) };
    case "err": {
      const room = from["room"] === undefined ? null : id(from, "room");
      return { op, id: text(from, "id"), room, thread: threadFrom(from), error: errorFrom(from) };
    }
    case "attached":
      return {
        op,
        id: text(from, "id"),
        room: id(from, "room"),
        thread: threadFrom(from),
        rid: count(from, "rid", 1),
        epoch: count(from, "epoch"),
        head: count(from, "head"),
        floor: count(from, "floor"),
        next: count(from, "next", 1),
        recovered: flag(from, "recovered"),
        you: standingFrom(from["you"]),
      };
    case "ev":
      return { op, rid: count(from, "rid", 1), entry: entryFrom(from) };
    case "skip":
      return { op, rid: count(from, "rid", 1), to: count(from, "to", 1) };
    case "head":
      return { op, rid: count(from, "rid", 1), seq: count(from, "seq", 1) };
    case "gap":
      return {
        op,
        rid: count(from, "rid", 1),
        from: count(from, "from", 1),
        to: count(from, "to", 1),
      };
    case "signal": {
      const kind = text(from, "kind");
      if (!/^[a-z][a-z_]{0,31}$/.test(kind)) throw new BadFrame("kind");
      return { op, rid: count(from, "rid", 1), kind, from: id(from, "from") };
    }
    case "ckpt":
      return {
        op,
        rid: count(from, "rid", 1),
        size: count(from, "size"),
        root: text(from, "root"),
        note: text(from, "note"),
      };
    case "ping":
      return { op };
    case "drain":
      text(from, "reason");
      return { op, windowMs: count(from, "window_ms") };
    default:
      return null;
  }
}

function helloFrom(from: Members): ServerFrame {
  text(from, "conn");
  count(from, "time");
  const limits = members(from["limits"]);
  for (const [name, value] of Object.entries(limits)) {
    if (name !== "types" && typeof value !== "number") throw new BadFrame(name);
  }
  return { op: "hello", pingMs: count(from, "ping_ms"), pongMs: count(from, "pong_ms") };
}

/** A checked frame; "unknown" = a frame of the future, to be ignored; "bad" = malformed. */
export function decodeFrame(message: unknown): ServerFrame | "unknown" | "bad" {
  if (typeof message !== "string") return "bad";
  try {
    return frameFrom(members(JSON.parse(message))) ?? "unknown";
  } catch {
    return "bad";
  }
}

/** A frame for the edge, without its `id` where it has one. */
export type ClientFrame =
  | { readonly op: "hello"; readonly v: 1; readonly client: string }
  | {
      readonly op: "attach";
      readonly room: string;
      readonly thread?: number;
      readonly token: string;
      readonly since?: { readonly epoch: number; readonly seq: number };
      readonly tail?: number;
    }
  | { readonly op: "detach"; readonly room: string; readonly thread?: number }
  | {
      readonly op: "refresh";
      readonly room: string;
      readonly thread?: number;
      readonly token: string;
    }
  | {
      readonly op: "post";
      readonly room: string;
      readonly thread?: number;
      readonly key: string;
      readonly type: string;
      readonly parent?: number;
      readonly body?: string;
    }
  | {
      readonly op: "read";
      readonly room: string;
      readonly thread?: number;
      readonly after?: number;
      readonly before?: number;
      readonly limit: number;
    }
  | {
      readonly op: "signal";
      readonly room: string;
      readonly thread?: number;
      readonly kind: string;
    }
  | { readonly op: "pong" };

/** The text of a frame; `id` goes behind `op`. */
export function encodeFrame(frame: ClientFrame, correlation?: string): string {
  const { op, ...rest } = frame;
  return JSON.stringify(correlation === undefined ? frame : { op, id: correlation, ...rest });
}

/** Members of a token's payload that the SDK uses; unknown = it asks again in time anyway. */
export function tokenFacts(token: string): {
  readonly user: string | null;
  readonly expiresS: number | null;
} {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    const { sub, exp } = JSON.parse(new TextDecoder().decode(bytes)) as Members;
    return {
      user: typeof sub === "string" ? sub : null,
      expiresS: typeof exp === "number" ? exp : null,
    };
  } catch {
    return { user: null, expiresS: null };
  }
}
