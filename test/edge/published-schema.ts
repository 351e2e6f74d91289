import { Ajv2020 } from "ajv/dist/2020.js";

type Json = Readonly<Record<string, unknown>>;

/** Says what is wrong with a value; null = it follows its schema. */
export type Judge = (value: unknown) => string | null;

interface Message {
  readonly name: string;
  readonly payload: object;
  readonly examples: readonly { readonly payload: Json }[];
}

/** One HTTP call as a reader of the OpenAPI document sees it. */
export interface PublishedCall {
  readonly method: string;
  readonly path: string;
  readonly security: readonly Json[];
  /** Parameters of the query that must be there, with the least value that each may have. */
  readonly query: Readonly<Record<string, string>>;
  /** Examples of its body; [null] when it takes none. */
  readonly bodies: readonly unknown[];
  /** By status and media type. */
  readonly answers: Readonly<Record<string, Readonly<Record<string, Judge>>>>;
}

function at(document: unknown, reference: string): unknown {
  let value = document;
  for (const part of reference.replace(/^#\//, "").split("/")) {
    value = (value as Json | undefined)?.[part];
  }
  if (value === undefined) throw new Error(`${reference} leads nowhere`);
  return value;
}

/** The WebSocket as its AsyncAPI document describes it, and nothing else. */
export class PublishedSocket {
  readonly url: string;
  readonly subprotocol: string;
  /** Frames of clients, by `op`. */
  readonly examples: ReadonlyMap<string, readonly Json[]>;
  private readonly judges = new Map<string, Judge>();

  /** Compiles every payload, strictly. */
  constructor(document: Json) {
    const { protocol, host } = at(document, "servers/edge") as Record<string, string>;
    const headers = "channels/socket/bindings/ws/headers/properties/Sec-WebSocket-Protocol/const";
    this.url = `${protocol}://${host}${String(at(document, "channels/socket/address"))}`;
    this.subprotocol = String(at(document, headers));
    const ajv = new Ajv2020({ strict: true, strictRequired: false, allErrors: true });
    const messages = (operation: string) => {
      const references = at(document, `operations/${operation}/messages`) as { $ref: string }[];
      return references.map(({ $ref }) => {
        const { $ref: message } = at(document, $ref) as { readonly $ref: string };
        return at(document, message) as Message;
      });
    };
    for (const { name, payload, examples } of messages("sendToClient")) {
      const validate = ajv.compile(payload);
      const judge = (value: unknown) => (validate(value) ? null : ajv.errorsText(validate.errors));
      this.judges.set(name, judge);
      for (const example of examples) this.require(example.payload);
    }
    const own = messages("receiveFromClient");
    for (const { payload, examples } of own) {
      const validate = ajv.compile(payload);
      for (const example of examples) {
        if (!validate(example.payload)) throw new Error(ajv.errorsText(validate.errors));
      }
    }
    this.examples = new Map(
      own.map(({ name, examples }) => [name, examples.map(({ payload }) => payload)]),
    );
  }

  /** Throws when a frame of the edge does not follow what is published. */
  require(frame: Json): void {
    const judge = this.judges.get(String(frame["op"]));
    const fault = judge === undefined ? "is not published" : judge(frame);
    if (fault !== null) throw new Error(`${JSON.stringify(frame)}: ${fault}`);
  }
}

/** The HTTP calls as their OpenAPI document describes them, and nothing else. */
export function publishedCalls(document: Json): readonly PublishedCall[] {
  const ajv = new Ajv2020({ strict: true, strictRequired: false, allErrors: true });
  const schemas = at(document, "components/schemas") as Readonly<Record<string, object>>;
  ajv.addSchema({ $id: "openapi", $defs: schemas });
  const judgeOf = (schema: Json): Judge => {
    const reference = String(schema["$ref"]).replace("#/components/schemas/", "");
    const isText = schema["$ref"] === undefined;
    const validate = ajv.compile(isText ? schema : { $ref: `openapi#/$defs/${reference}` });
    return (value) => (validate(value) ? null : ajv.errorsText(validate.errors));
  };
  const calls: PublishedCall[] = [];
  for (const [path, item] of Object.entries(at(document, "paths") as Record<string, Json>)) {
    for (const [method, operation] of Object.entries(item as Record<string, Json>)) {
      const answers: Record<string, Record<string, Judge>> = {};
      for (const [status, answer] of Object.entries(operation["responses"] as Json)) {
        const { content } = answer as { readonly content: Record<string, { schema: Json }> };
        answers[status] = Object.fromEntries(
          Object.entries(content).map(([type, { schema }]) => [type, judgeOf(schema)]),
        );
      }
      const security = operation["security"] as readonly Json[];
      const bodies = bodiesOf(document, operation);
      const query = queryOf(operation);
      calls.push({ method: method.toUpperCase(), path, security, query, bodies, answers });
    }
  }
  return calls;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly schema: { readonly minimum?: number };
}

function queryOf(operation: Json): Readonly<Record<string, string>> {
  const parameters = (operation["parameters"] ?? []) as readonly Parameter[];
  const needed = parameters.filter((each) => each.in === "query" && each.required);
  return Object.fromEntries(
    needed.map(({ name, schema }) => [name, String(Math.max(1, schema.minimum ?? 1))]),
  );
}

function bodiesOf(document: Json, operation: Json): readonly unknown[] {
  if (operation["requestBody"] === undefined) return [null];
  const schema = at(operation, "requestBody/content");
  const { $ref } = (schema as Record<string, { schema: { $ref: string } }>)["application/json"]
    ?.schema ?? { $ref: "" };
  const { examples } = at(document, $ref) as { readonly examples?: readonly unknown[] };
  if (examples === undefined) throw new Error(`${$ref} has no example`);
  return examples;
}
