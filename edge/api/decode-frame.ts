import type { TSchema } from "typebox";
import { bodyFault } from "./body-fault.ts";
import { clientFrames } from "./client-frames.ts";
import type { ClientFrame } from "./client-frames.ts";
import { compiledSchema } from "./compiled-schema.ts";
import type { FaultOf } from "./compiled-schema.ts";
import { frameBytesMax } from "./limits.ts";
import { serverFrames } from "./server-frames.ts";
import type { ServerFrame } from "./server-frames.ts";

/** A checked frame, or why it was refused. `id` is set when the frame had a readable one. */
export type DecodedFrame<F> =
  | { readonly ok: true; readonly frame: F }
  | {
      readonly ok: false;
      readonly name: "BAD_FRAME" | "TOO_LARGE";
      readonly detail: string;
      readonly id: string;
    };

type Table = ReadonlyMap<string, FaultOf>;

function compiled(schemas: Readonly<Record<string, TSchema>>): Table {
  return new Map(Object.entries(schemas).map(([op, schema]) => [op, compiledSchema(schema)]));
}

const clientTable = compiled(clientFrames);
const serverTable = compiled(serverFrames);

function refuse<F>(name: "BAD_FRAME" | "TOO_LARGE", detail: string, id = ""): DecodedFrame<F> {
  return { ok: false, name, detail, id };
}

function objectFrom(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    return value as Readonly<Record<string, unknown>>;
  } catch {
    return null;
  }
}

function check<F>(table: Table, text: string): DecodedFrame<F> {
  const value = objectFrom(text);
  if (value === null) return refuse("BAD_FRAME", "A frame is one JSON object.");
  const id = typeof value["id"] === "string" && value["id"].length <= 64 ? value["id"] : "";
  const op = value["op"];
  if (typeof op !== "string") return refuse("BAD_FRAME", "op must be a string.", id);
  const faultOf = table.get(op);
  if (faultOf === undefined) return refuse("BAD_FRAME", "Unknown op.", id);
  const body = op === "post" ? bodyFault(value["body"], value["body_b64"]) : null;
  if (body !== null) return refuse(body.name, body.detail, id);
  const fault = faultOf(value);
  if (fault !== null) return refuse("BAD_FRAME", fault, id);
  return { ok: true, frame: value as F };
}

/**
 * Checks one text message of a client. Unknown members are ignored. The adapter has refused
 * messages over frameBytesMax and invalid UTF-8 before; the length is asserted again here.
 */
export function decodeClientFrame(text: string): DecodedFrame<ClientFrame> {
  if (text.length > frameBytesMax) return refuse("TOO_LARGE", "The frame is too large.");
  return check<ClientFrame>(clientTable, text);
}

/** Checks one text message of an edge, as a client does: for tests and tools. */
export function decodeServerFrame(text: string): DecodedFrame<ServerFrame> {
  return check<ServerFrame>(serverTable, text);
}
