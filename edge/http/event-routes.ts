import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { bodyFault } from "#edge/api/body-fault.ts";
import { checkKey, checkPostRequest } from "#edge/api/http-checks.ts";
import type { PostRequest } from "#edge/api/http-schemas.ts";
import { pageEntriesMax } from "#edge/api/limits.ts";
import { logMembers, pageText } from "#edge/connection/answer-frames.ts";
import type { PostIntent, PostOutcome } from "#edge/connection/intents.ts";
import { postedEntry } from "#edge/connection/posted-entry.ts";
import { bytesFromHex } from "#replica/base/bytes.ts";
import { seqFrom } from "#replica/base/brands.ts";
import type { ReadRange } from "#replica/wire/client-message.ts";
import { viewerOf } from "./callers.ts";
import type { Callers, RoomCaller } from "./callers.ts";
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

/** A checked post; the size and form of its body come first. Throws TOO_LARGE, BAD_FRAME. */
function postOf(value: unknown): PostRequest {
  const { body, body_b64: base64 } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const fault = bodyFault(body, base64);
  if (fault !== null) throw new Problem(fault.name, fault.detail);
  return bodyOf(checkPostRequest(value));
}

/** Posts in the caller's name; the answer as JSON. Throws. */
export async function postAs(
  reply: FastifyReply,
  deps: HttpDeps,
  post: PostIntent,
): Promise<FastifyReply> {
  const waitMs = deps.tenantPosts.take(post.name.tenant, performance.now());
  if (waitMs > 0) throw new Problem("RATE_LIMITED", undefined, waitMs);
  const outcome = await new Promise<PostOutcome>((resolve) => deps.hub.post(post, resolve));
  if (!outcome.ok) throw Problem.of(outcome.refusal);
  const { epoch, seq, timeUs: t, dup } = outcome;
  return await reply.code(dup ? 200 : 201).send({ epoch, seq, t, ...(dup ? { dup } : {}) });
}

/** The key of a call's header; throws BAD_FRAME. */
export function keyOf(request: FastifyRequest): Uint8Array {
  const key = checkKey(request.headers["idempotency-key"]);
  if (!key.ok) throw new Problem("BAD_FRAME", `Idempotency-Key: ${key.detail}`);
  return bytesFromHex(key.value.replaceAll("-", ""));
}

/** Who posts: a session itself, an API key whom it names. Throws. */
function senderOf({ session }: RoomCaller, from: string | undefined): string {
  if (session !== null && from !== undefined && from !== session.user) {
    throw new Problem("DENIED", "A session posts in its own name only.");
  }
  const sender = session?.user ?? from;
  if (sender === undefined) throw new Problem("BAD_FRAME", "from is missing.");
  return sender;
}

/** Post, read, head. */
export function eventRoutes(app: FastifyInstance, deps: HttpDeps, callers: Callers): void {
  app.post("/v1/rooms/:room/events", async (request, reply) => {
    const caller = await callers.inRoom(request, "post");
    const key = keyOf(request);
    const posted = postOf(request.body);
    const sender = senderOf(caller, posted.from);
    const entry = postedEntry(posted);
    if (!entry.ok) throw Problem.of(entry.refusal);
    const { type, parent, body } = entry;
    const authority = caller.session === null;
    const post = { name: caller.name, sender, type, parent, key, body, authority };
    return await postAs(reply, deps, post);
  });

  app.get("/v1/rooms/:room/events", async (request, reply) => {
    const caller = await callers.inRoom(request, "read");
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
    const page = await deps.hub.read(caller.name, range, viewerOf(caller));
    if (!page.ok) throw Problem.of(page.refusal);
    return await reply.type("application/json").send(pageText(page));
  });

  app.get("/v1/rooms/:room/head", async (request) => {
    const caller = await callers.inRoom(request, "read");
    const last = { kind: "before", seq: seqFrom(seqEnd), limit: 1 } as const;
    const page = await deps.hub.read(caller.name, last, viewerOf(caller));
    if (!page.ok) throw Problem.of(page.refusal);
    const { epoch, head, floor } = page;
    return { ...logMembers(caller.name.room), epoch, head, floor };
  });
}
