import type { FastifyReply, FastifyRequest } from "fastify";
import { httpCalls } from "#edge/api/http-calls.ts";
import { socketPath } from "#edge/api/limits.ts";
import { problemType } from "./problem.ts";

// Failures of HTTP itself have the plain type and no row of the table, which is about rooms.
const titles = {
  400: ["BAD_REQUEST", "Bad Request"],
  404: ["NOT_FOUND", "Not Found"],
  405: ["METHOD_NOT_ALLOWED", "Method Not Allowed"],
  408: ["REQUEST_TIMEOUT", "Request Timeout"],
  426: ["UPGRADE_REQUIRED", "Upgrade Required"],
  431: ["HEADERS_TOO_LARGE", "Request Header Fields Too Large"],
} as const;

/** A failure of HTTP itself, before a call is known. */
export type PathStatus = keyof typeof titles;

/** Its problem as text, RFC 9457 section 4.2.1. */
export function pathProblemText(status: PathStatus, detail: string): string {
  const [name, title] = titles[status];
  const type = "about:blank";
  return JSON.stringify({ type, title, status, code: status, name, detail, retryable: false });
}

/** Sends such a problem. */
export async function sendPathProblem(
  reply: FastifyReply,
  status: PathStatus,
  detail: string,
): Promise<void> {
  await reply.code(status).type(problemType).send(pathProblemText(status, detail));
}

interface Path {
  readonly form: RegExp;
  readonly methods: readonly string[];
}

function pathsOf(): readonly Path[] {
  const methods = new Map<string, string[]>([
    [socketPath, ["GET"]],
    ["/openapi.json", ["GET", "HEAD"]],
    ["/asyncapi.json", ["GET", "HEAD"]],
  ]);
  for (const { path, method } of httpCalls) {
    const known = methods.get(path) ?? [];
    known.push(...(method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()]));
    methods.set(path, known);
  }
  return [...methods].map(([path, names]) => {
    const form = path.replaceAll(".", "\\.").replaceAll(/\{[a-z]+\}/g, "[^/]+");
    return { form: new RegExp(`^${form}$`), methods: names };
  });
}

const paths = pathsOf();

/** Answers what no route took: 405 with Allow for a known path (RFC 9110 15.5.6), else 404. */
export async function sendNoRoute(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const [path = ""] = request.url.split("?");
  const known = paths.find(({ form }) => form.test(path));
  if (known === undefined) {
    await sendPathProblem(reply, 404, "There is no such call; /openapi.json lists them all.");
    return;
  }
  const allow = known.methods.join(", ");
  reply.header("allow", allow);
  await sendPathProblem(reply, 405, `${request.method} is not offered here; ${allow} is.`);
}
