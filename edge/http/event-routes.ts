import type { FastifyInstance, FastifyRequest } from "fastify";
import { bodyFault } from "#edge/api/body-fault.ts";
import { checkKey, checkPostRequest } from "#edge/api/http-checks.ts";
import type { PostRequest } from "#edge/api/http-schemas.ts";
import { pageEntriesMax } from "#edge/api/limits.ts";
import { bytesFromBase64 } from "#edge/fanout/base64.ts";
import type { PostOutcome, ReadOutcome } from "#edge/connection/intents.ts";
import { bytesFromHex } from "#replica/base/bytes.ts";
import { seqFrom } from "#replica/base/brands.ts";
import { utf8From } from "#replica/base/text.ts";
import type { ReadRange } from "#replica/wire/client-message.ts";
import type { Callers } from "./callers.ts";
import type { HttpDeps } from "./http-deps.ts";
import { Problem } from "./problem.ts";
import { bodyOf } from "./room-routes.ts";

/** Before which seq the newest entries are: none is higher. */
const seqEnd = Number.MAX_SAFE_INTEGER;

/** A whole number in a query, or undefined when it is absent; throws BAD_FRAME. */
export function countOf(
  request: FastifyRequest,
  name: string,
  range: { readonly min: number; readonly max: number },
): number | undefined {
  const value = (request.query as Readonly<Record<string, unknown>>)[name];
  if (value === undefined) return undefined;
  const count = typeof value === "string" && /^[0-9]{1,16}$/.test(value) ? Number(value) : -1;
  if (count >= range.min && count <= range.max) return count;
  throw new Problem("BAD_FRAME", `${name} must be ${range.min} to ${range.max}.`);
}

/** A read's page as JSON text. */
export function pageText(page: ReadOutcome & { readonly ok: true }): string {
  const { epoch, head, floor, events } = page;
  return `{"epoch":${epoch},"head":${head},"floor":${floor},"events":[${events.join(",")}]}`;
}

/** A checked post; the size and form of its body come first. Throws TOO_LARGE, BAD_FRAME. */
function postOf(value: unknown): PostRequest {
  const { body, body_b64: base64 } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const fault = bodyFault(body, base64);
  if (fault !== null) throw new Problem(fault.name, fault.detail);
  return bodyOf(checkPostRequest(value));
}

/** Post, read, head. */
export function eventRoutes(app: FastifyInstance, deps: HttpDeps, callers: Callers): void {
  app.post("/v1/rooms/:room/events", async (request, reply) => {
    const { name, session } = await callers.inRoom(request, "post");
    const key = checkKey(request.headers["idempotency-key"]);
    if (!key.ok) throw new Problem("BAD_FRAME", `Idempotency-Key: ${key.detail}`);
    const posted = postOf(request.body);
    const { body, body_b64: base64, type = "msg", parent = 0, from } = posted;
    if (type !== "msg") throw new Problem("DENIED", `Entries of type ${type} are not offered yet.`);
    if (session !== null && from !== undefined && from !== session.user) {
      throw new Problem("DENIED", "A session posts in its own name only.");
    }
    const sender = session?.user ?? from;
    if (sender === undefined) throw new Problem("BAD_FRAME", "from is missing.");
    const waitMs = deps.tenantPosts.take(name.tenant, performance.now());
    if (waitMs > 0) throw new Problem("RATE_LIMITED", undefined, waitMs);
    const outcome = await new Promise<PostOutcome>((resolve) => {
      deps.hub.post(
        {
          name,
          sender,
          type: "message",
          parent,
          key: bytesFromHex(key.value.replaceAll("-", "")),
          body: body === undefined ? bytesFromBase64(base64 ?? "") : utf8From(body),
        },
        resolve,
      );
    });
    if (!outcome.ok) throw Problem.of(outcome.refusal);
    const { epoch, seq, timeUs: t, dup } = outcome;
    return await reply.code(dup ? 200 : 201).send({ epoch, seq, t, ...(dup ? { dup } : {}) });
  });

  app.get("/v1/rooms/:room/events", async (request, reply) => {
    const { name } = await callers.inRoom(request, "read");
    const after = countOf(request, "after", { min: 0, max: seqEnd });
    const before = countOf(request, "before", { min: 1, max: seqEnd });
    const limit = countOf(request, "limit", { min: 1, max: pageEntriesMax }) ?? 50;
    if (after !== undefined && before !== undefined) {
      throw new Problem("BAD_FRAME", "Give after or before, not both.");
    }
    const range: ReadRange =
      after === undefined
        ? { kind: "before", seq: seqFrom(before ?? seqEnd), limit }
        : { kind: "after", seq: seqFrom(after), limit };
    const page = await deps.hub.read(name, range);
    if (!page.ok) throw Problem.of(page.refusal);
    return await reply.type("application/json").send(pageText(page));
  });

  app.get("/v1/rooms/:room/head", async (request) => {
    const { name } = await callers.inRoom(request, "read");
    const page = await deps.hub.read(name, { kind: "before", seq: seqFrom(seqEnd), limit: 1 });
    if (!page.ok) throw Problem.of(page.refusal);
    const { epoch, head, floor } = page;
    return { room: name.room, epoch, head, floor };
  });
}
