import { clientFrames } from "./client-frames.ts";
import { closeCodeAction, errorTable } from "./errors.ts";
import { serverFrames } from "./server-frames.ts";

/** One test case for anybody's codec: a message as text and what a checker must say of it. */
export interface FrameVector {
  /** What the case claims. */
  readonly name: string;
  /** The whole WebSocket message. */
  readonly text: string;
  readonly valid: boolean;
  /** Name of the error when it is not valid. */
  readonly error?: string;
}

type Members = Record<string, unknown>;

interface Shape {
  readonly required?: readonly string[];
  readonly properties: Readonly<Record<string, { readonly type?: string }>>;
  readonly examples?: readonly Members[];
}

function bad(name: string, value: unknown, error = "BAD_FRAME"): FrameVector {
  return { name, text: JSON.stringify(value), valid: false, error };
}

function good(name: string, value: unknown): FrameVector {
  return { name, text: JSON.stringify(value), valid: true };
}

function wrongFor(type: string | undefined): unknown {
  return type === "string" ? 7 : type === "boolean" ? "true" : "x";
}

/** Per frame: every example, then each required member left out, then each of a wrong type. */
function derived(frames: Readonly<Record<string, object>>): readonly FrameVector[] {
  const vectors: FrameVector[] = [];
  for (const [op, schema] of Object.entries(frames)) {
    const shape = schema as unknown as Shape;
    for (const [index, example] of (shape.examples ?? []).entries()) {
      vectors.push(good(`${op}: example ${index + 1}`, example));
    }
    const base = shape.examples?.[0] ?? {};
    vectors.push(good(`${op}: unknown members are ignored`, { ...base, later: { x: [1] } }));
    for (const member of shape.required ?? []) {
      const { [member]: _, ...rest } = base;
      vectors.push(bad(`${op}: without ${member}`, rest));
    }
    for (const [member, property] of Object.entries(shape.properties)) {
      if (!(member in base) || member === "op") continue;
      vectors.push(
        bad(`${op}: ${member} of a wrong type`, {
          ...base,
          [member]: wrongFor(property.type),
        }),
      );
    }
  }
  return vectors;
}

function example(frames: Readonly<Record<string, object>>, op: string): Members {
  return (frames[op] as unknown as Shape).examples?.[0] ?? {};
}

function clientEdges(): readonly FrameVector[] {
  const post = example(clientFrames, "post");
  const read = example(clientFrames, "read");
  const attach = example(clientFrames, "attach");
  const { body: _, ...bodiless } = post;
  return [
    { name: "not JSON", text: "{", valid: false, error: "BAD_FRAME" },
    { name: "empty message", text: "", valid: false, error: "BAD_FRAME" },
    bad("an array is no frame", [post]),
    bad("null is no frame", null),
    bad("unknown op", { op: "subscribe", id: "1" }),
    bad("op of the object's prototype", { op: "constructor", id: "1" }),
    bad("hello: other version", { ...example(clientFrames, "hello"), v: 2 }),
    bad("post: no body at all", bodiless),
    bad("post: both bodies", { ...post, body_b64: "AP8=" }),
    good("post: a marker needs no body", { ...bodiless, type: "marker", parent: 3 }),
    good("post: a redaction needs no body", { ...bodiless, type: "redact", parent: 3 }),
    bad("post: an edit without body", { ...bodiless, type: "edit", parent: 3 }),
    good("post: in a thread", { ...post, thread: 7 }),
    bad("post: thread 0", { ...post, thread: 0 }),
    bad("post: thread by name", { ...post, thread: "7" }),
    bad("post: empty body", { ...post, body: "" }),
    bad("post: base64 with the url alphabet", { ...bodiless, body_b64: "AP_=" }),
    bad("post: base64 without padding", { ...bodiless, body_b64: "AP8" }),
    good("post: largest body", { ...post, body: "x".repeat(16384) }),
    bad("post: body over 16 KiB of ASCII", { ...post, body: "x".repeat(16385) }, "TOO_LARGE"),
    bad("post: body over 16 KiB of UTF-8", { ...post, body: "é".repeat(8193) }, "TOO_LARGE"),
    bad("post: base64 over 16 KiB", { ...bodiless, body_b64: "A".repeat(21848) }, "TOO_LARGE"),
    bad("post: a high surrogate alone", { ...post, body: "a\ud83d" }),
    bad("post: a low surrogate alone", { ...post, body: "\ude00b" }),
    bad("post: surrogates in the wrong order", { ...post, body: "\ude00\ud83d" }),
    good("post: a pair of surrogates", { ...post, body: "\ud834\udd1e" }),
    good("post: upper-case key", { ...post, key: "019AE0C4-5B1C-7A31-8F0E-3D2C1B0A9F8E" }),
    bad("post: key of UUID version 4", { ...post, key: "019ae0c4-5b1c-4a31-8f0e-3d2c1b0a9f8e" }),
    bad("post: key of a wrong variant", { ...post, key: "019ae0c4-5b1c-7a31-cf0e-3d2c1b0a9f8e" }),
    bad("post: type with a space", { ...post, type: "a b" }),
    bad("post: parent 0", { ...post, parent: 0 }),
    bad("post: fractional parent", { ...post, parent: 1.5 }),
    bad("read: after and before", { ...read, before: 3 }),
    bad("read: neither after nor before", { op: "read", id: "1", room: "lobby" }),
    bad("read: limit over 200", { ...read, limit: 201 }),
    bad("read: limit 0", { ...read, limit: 0 }),
    bad("attach: room with a slash", { ...attach, room: "a/b" }),
    bad("attach: room with a space", { ...attach, room: "a b" }),
    bad("attach: empty room", { ...attach, room: "" }),
    good("attach: room of 128 characters", { ...attach, room: "r".repeat(128) }),
    bad("attach: room of 129 characters", { ...attach, room: "r".repeat(129) }),
    bad("attach: since without epoch", { ...attach, since: { seq: 1 } }),
    bad("attach: negative since", { ...attach, since: { epoch: 1, seq: -1 } }),
    bad("attach: empty id", { ...attach, id: "" }),
    bad("attach: id of 65 characters", { ...attach, id: "i".repeat(65) }),
  ];
}

function serverEdges(): readonly FrameVector[] {
  const ev = example(serverFrames, "ev");
  return [
    { name: "not JSON", text: "nul", valid: false, error: "BAD_FRAME" },
    bad("unknown op: a checker says so, a client ignores it", { op: "future", rid: 1 }),
    bad("ev: seq 0", { ...ev, seq: 0 }),
    bad("ev: fractional time", { ...ev, t: 0.5 }),
    good("ev: type that a client does not know", { ...ev, type: "poll" }),
    bad("ev: rid 0", { ...ev, rid: 0 }),
  ];
}

/** Test vectors of the frames that clients send. */
export const clientFrameVectors: readonly FrameVector[] = [
  ...derived(clientFrames),
  ...clientEdges(),
];

/** Test vectors of the frames that the edge sends. */
export const serverFrameVectors: readonly FrameVector[] = [
  ...derived(serverFrames),
  ...serverEdges(),
];

/** Errors and close codes as data for SDKs. */
export const errorVectors = {
  errors: errorTable,
  closes: [
    1000,
    1001,
    1006,
    1011,
    1012,
    ...new Set(errorTable.flatMap((row) => (row.close === null ? [] : [row.close]))),
  ].map((code) => ({ code, action: closeCodeAction(code) })),
};

/** Files of the published folder: name → content, ready to be written as JSON. */
export function vectorFiles(): Readonly<Record<string, unknown>> {
  return {
    "client-frames.json": clientFrameVectors,
    "server-frames.json": serverFrameVectors,
    "errors.json": errorVectors,
  };
}
