import type { FastifyReply } from "fastify";
import { errorRow } from "#edge/api/errors.ts";
import type { ErrorName } from "#edge/api/errors.ts";
import type { Refusal } from "#edge/connection/intents.ts";

/** A failure of a call: thrown by handlers, sent as RFC 9457 problem. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly refusal: Refusal;

  /** `detail`: a sentence about this case; the table's when absent. */
  constructor(error: ErrorName, detail?: string, retryMs?: number) {
    super(detail ?? errorRow(error).meaning);
    this.refusal = {
      error,
      ...(detail === undefined ? {} : { detail }),
      ...(retryMs === undefined ? {} : { retryMs }),
    };
  }

  /** A problem of a refusal. */
  static of({ error, detail, retryMs }: Refusal): Problem {
    return new Problem(error, detail, retryMs);
  }
}

/** Media type of every failure. */
export const problemType = "application/problem+json";

/** A problem as text, RFC 9457. Without a sentence about the case it says what to do. */
export function problemText(refusal: Refusal): string {
  const { name, code, status, meaning, action, retryable } = errorRow(refusal.error);
  const { retryMs, detail = action } = refusal;
  return JSON.stringify({
    type: `urn:tigerchat:error:${name}`,
    title: meaning,
    status,
    code,
    name,
    detail,
    retryable,
    ...(retryable && retryMs !== undefined ? { retry_ms: retryMs } : {}),
  });
}

/** Sends a problem. */
export async function sendProblem(reply: FastifyReply, refusal: Refusal): Promise<void> {
  const { status, retryable } = errorRow(refusal.error);
  const { retryMs } = refusal;
  if (retryable && retryMs !== undefined) {
    reply.header("retry-after", String(Math.ceil(retryMs / 1000)));
  }
  await reply.code(status).type(problemType).send(problemText(refusal));
}
