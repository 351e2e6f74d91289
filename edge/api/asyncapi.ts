import { clientFrames } from "./client-frames.ts";
import { errorTable } from "./errors.ts";
import { protocolGuide } from "./guide.ts";
import { socketPath, subprotocolJson } from "./limits.ts";
import type { JsonObject } from "./openapi.ts";
import { serverFrames } from "./server-frames.ts";

interface DescribedSchema {
  readonly description?: string;
  readonly examples?: readonly unknown[];
}

function messagesOf(prefix: string, frames: Readonly<Record<string, object>>): JsonObject {
  const messages: Record<string, unknown> = {};
  for (const [op, schema] of Object.entries(frames)) {
    const described = schema as DescribedSchema;
    messages[prefix + op] = {
      name: op,
      title: `${op} (${prefix === "client_" ? "client to edge" : "edge to client"})`,
      summary: described.description ?? "",
      contentType: "application/json",
      payload: schema,
      examples: (described.examples ?? []).map((payload) => ({ payload })),
    };
  }
  return messages;
}

/** What a client sends to open the socket; it is refused without (RFC 6455 section 4.2.1). */
const handshake: JsonObject = {
  method: "GET",
  headers: {
    type: "object",
    required: ["Sec-WebSocket-Protocol"],
    properties: { "Sec-WebSocket-Protocol": { type: "string", const: subprotocolJson } },
  },
  bindingVersion: "0.1.0",
};

function referencesTo(at: string, names: readonly string[]): readonly JsonObject[] {
  return names.map((name) => ({ $ref: `${at}/${name}` }));
}

/** The AsyncAPI 3.0 document of the WebSocket. `url`: public base URL, http or https. */
export function asyncApiDocument(url: string): JsonObject {
  const messages = {
    ...messagesOf("client_", clientFrames),
    ...messagesOf("server_", serverFrames),
  };
  const names = Object.keys(messages);
  const inChannel = Object.fromEntries(
    names.map((name) => [name, { $ref: `#/components/messages/${name}` }]),
  );
  const from = (prefix: string) =>
    referencesTo(
      "#/channels/socket/messages",
      names.filter((name) => name.startsWith(prefix)),
    );
  const [scheme, rest = ""] = url.split("://");
  return {
    asyncapi: "3.0.0",
    info: { title: "TigerChat edge, WebSocket", version: "1.0.0", description: protocolGuide },
    defaultContentType: "application/json",
    servers: {
      edge: { host: rest, protocol: scheme === "https" ? "wss" : "ws" },
    },
    channels: {
      socket: {
        address: socketPath,
        description:
          `One WebSocket with subprotocol ${subprotocolJson}; one JSON object a text ` +
          "message. All rooms of a client share it.",
        bindings: { ws: handshake },
        messages: inChannel,
      },
    },
    operations: {
      receiveFromClient: {
        action: "receive",
        channel: { $ref: "#/channels/socket" },
        messages: from("client_"),
      },
      sendToClient: {
        action: "send",
        channel: { $ref: "#/channels/socket" },
        messages: from("server_"),
      },
    },
    components: { messages },
    "x-errors": errorTable,
  };
}
