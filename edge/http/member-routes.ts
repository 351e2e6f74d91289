import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import {
  checkMemberRequest,
  checkQuotasRequest,
  checkRetentionRequest,
  checkSanctionRequest,
  checkSettingsRequest,
  checkUser,
} from "#edge/api/http-checks.ts";
import type { PostOutcome } from "#edge/connection/intents.ts";
import { uuidKey } from "#edge/bus/uuid-key.ts";
import {
  encodeMember,
  encodeSanction,
  encodeSettings,
  roles,
  untilForever,
} from "#replica/wire/entry-body.ts";
import { roomOf } from "./callers.ts";
import type { Callers } from "./callers.ts";
import { keyOf, postAs } from "./event-routes.ts";
import type { HttpDeps } from "./http-deps.ts";
import { Problem } from "./problem.ts";
import { bodyOf } from "./room-routes.ts";

type RuleType = "member" | "ban" | "mute" | "settings";

/** The user in a call's path; throws BAD_FRAME. */
function userOf(request: FastifyRequest): string {
  const { user } = request.params as { readonly user?: unknown };
  const checked = checkUser(user);
  if (!checked.ok) throw new Problem("BAD_FRAME", `user: ${checked.detail}`);
  return checked.value;
}

/** Members, bans, mutes, settings: each change is an entry; quotas and retention: by version. */
export function memberRoutes(app: FastifyInstance, deps: HttpDeps, callers: Callers): void {
  const act = async (
    request: FastifyRequest,
    reply: FastifyReply,
    type: RuleType,
    rule: { readonly body: Uint8Array; readonly from?: string | undefined },
  ): Promise<FastifyReply> => {
    const { name, session, keyId } = await callers.inRoom(request, "post");
    const { from, body } = rule;
    if (session !== null && from !== undefined && from !== session.user) {
      throw new Problem("DENIED", "A session acts in its own name only.");
    }
    const given = request.headers["idempotency-key"] !== undefined;
    const key = given ? keyOf(request) : uuidKey(Date.now());
    const sender = session?.user ?? from ?? keyId ?? "";
    const authority = session === null;
    return await postAs(reply, deps, { name, sender, key, type, parent: 0, body, authority });
  };

  const member = "/v1/rooms/:room/members/:user";
  app.put(member, async (request, reply) => {
    const { role: named, from } = bodyOf(checkMemberRequest(request.body));
    const role = roles.find((one) => one === named) ?? "none";
    const body = encodeMember({ user: userOf(request), role });
    return await act(request, reply, "member", { body, from });
  });
  app.delete(member, async (request, reply) => {
    const body = encodeMember({ user: userOf(request), role: "none" });
    return await act(request, reply, "member", { body });
  });
  for (const type of ["ban", "mute"] as const) {
    const path = `/v1/rooms/:room/${type}s/:user`;
    app.put(path, async (request, reply) => {
      const { until = untilForever, from } = bodyOf(checkSanctionRequest(request.body ?? {}));
      const body = encodeSanction({ user: userOf(request), until });
      return await act(request, reply, type, { body, from });
    });
    app.delete(path, async (request, reply) => {
      const body = encodeSanction({ user: userOf(request), until: 0 });
      return await act(request, reply, type, { body });
    });
  }
  app.put("/v1/rooms/:room/settings", async (request, reply) => {
    const { from, ...settings } = bodyOf(checkSettingsRequest(request.body));
    return await act(request, reply, "settings", { body: encodeSettings(settings), from });
  });
  quotaRoutes(app, deps, callers);
  app.get("/v1/rooms/:room/standing", async (request) => {
    const { name, session } = await callers.inRoom(request, "read");
    const { user: asked } = request.query as { readonly user?: unknown };
    if (session !== null && asked !== undefined && asked !== session.user) {
      throw new Problem("DENIED", "A session asks about its own user only.");
    }
    const checked = checkUser(session?.user ?? asked);
    if (!checked.ok) throw new Problem("BAD_FRAME", `user: ${checked.detail}`);
    const outcome = await deps.hub.standing(name, checked.value);
    if (!outcome.ok) throw Problem.of(outcome.refusal);
    const { role, marker, mutedUntilUs, bannedUntilUs } = outcome.standing;
    const muted = mutedUntilUs > 0 ? { muted_until: mutedUntilUs } : {};
    const banned = bannedUntilUs > 0 ? { banned_until: bannedUntilUs } : {};
    return { role, marker, ...muted, ...banned };
  });
}

function quotaRoutes(app: FastifyInstance, deps: HttpDeps, callers: Callers): void {
  for (const place of ["/v1", "/v1/rooms/:room"]) {
    const nameOf = (request: FastifyRequest, tenant: string) => {
      return { tenant, room: place === "/v1" ? "" : roomOf(request) };
    };
    app.put(`${place}/quotas`, async (request) => {
      const { tenant, id } = callers.application(request, "rooms");
      const name = nameOf(request, tenant);
      const { version, ...asked } = bodyOf(checkQuotasRequest(request.body));
      const { rooms = 0, members = 0, entries_per_s: entriesPerSecond = 0 } = asked;
      const quotas = { version, rooms, members, entriesPerSecond };
      const outcome = await deps.hub.administer(name, (poster, done) => {
        poster.configure(name, id, quotas, done);
      });
      return inForce(version, outcome);
    });
    app.put(`${place}/retention`, async (request) => {
      const { tenant, id } = callers.application(request, "rooms");
      const name = nameOf(request, tenant);
      const asked = bodyOf(checkRetentionRequest(request.body));
      const { version, age_s: ageSeconds = 0, entries = 0, bytes = 0, hold = false } = asked;
      const retention = { version, ageSeconds, entries, bytes, hold };
      const outcome = await deps.hub.administer(name, (poster, done) => {
        poster.retain(name, id, retention, done);
      });
      return inForce(version, outcome);
    });
  }
}

function inForce(version: number, outcome: PostOutcome) {
  if (!outcome.ok) throw Problem.of(outcome.refusal);
  return { version };
}
