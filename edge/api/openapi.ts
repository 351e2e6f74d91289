import { errorRow, errorTable } from "./errors.ts";
import { httpCalls } from "./http-calls.ts";
import type { HttpAuth, HttpCall } from "./http-call.ts";
import { httpSchemas } from "./http-schemas.ts";
import type { HttpSchemaName } from "./http-schemas.ts";

/** A JSON object. */
export type JsonObject = { readonly [member: string]: unknown };

const version = "1.0.0";

function reference(name: HttpSchemaName): JsonObject {
  return { $ref: `#/components/schemas/${name}` };
}

function securityOf(auth: readonly HttpAuth[]): readonly JsonObject[] {
  return auth.map((scheme) => ({ [scheme]: [] }));
}

function problemsOf(call: HttpCall): JsonObject {
  const byStatus = new Map<number, string[]>();
  for (const name of call.errors) {
    const { status } = errorRow(name);
    byStatus.set(status, [...(byStatus.get(status) ?? []), name]);
  }
  const responses: Record<string, unknown> = {};
  for (const [status, names] of byStatus) {
    responses[status] = {
      description: names.map((name) => `${name}.`).join(" "),
      content: { "application/problem+json": { schema: reference("Problem") } },
    };
  }
  return responses;
}

function answersOf(call: HttpCall): JsonObject {
  const responses: Record<string, unknown> = {};
  for (const [status, answer] of Object.entries(call.answers)) {
    const schema = answer.schema === null ? { type: "string" } : reference(answer.schema);
    responses[status] = {
      description: answer.description,
      content: { [answer.mediaType]: { schema } },
    };
  }
  if (call.id === "stream") {
    responses["200"] = {
      description: call.answers["200"]?.description,
      content: {
        "text/event-stream": { schema: { type: "string" } },
        "application/json": { schema: reference("ReadResult") },
      },
    };
  }
  return responses;
}

function operationOf(call: HttpCall): JsonObject {
  const body =
    call.body === null
      ? {}
      : {
          requestBody: {
            required: true,
            content: { "application/json": { schema: reference(call.body) } },
          },
        };
  return {
    operationId: call.id,
    summary: call.summary,
    ...(call.description === "" ? {} : { description: call.description }),
    security: securityOf(call.auth),
    parameters: call.parameters,
    ...body,
    responses: { ...answersOf(call), ...problemsOf(call) },
  };
}

function pathsOf(): JsonObject {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const call of httpCalls) {
    const item = paths[call.path] ?? {};
    item[call.method] = operationOf(call);
    paths[call.path] = item;
  }
  return paths;
}

/** The OpenAPI 3.1 document of the HTTP calls. `url`: public base URL, no slash at the end. */
export function openApiDocument(url: string): JsonObject {
  return {
    openapi: "3.1.0",
    info: {
      title: "TigerChat edge, HTTP",
      version,
      description:
        "Rooms as strictly ordered logs. The WebSocket is described in " +
        "/asyncapi.json. Every failure is a Problem with a name of the table in x-errors.",
    },
    servers: [{ url }],
    paths: pathsOf(),
    components: {
      schemas: httpSchemas,
      securitySchemes: {
        apiKey: { type: "http", scheme: "bearer", description: "API key of an application." },
        session: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "Session token of one user in one room.",
        },
        cookie: { type: "apiKey", in: "cookie", name: "tigerchat_login" },
      },
    },
    "x-errors": errorTable,
  };
}
