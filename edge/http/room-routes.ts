import type { FastifyInstance, FastifyRequest } from "fastify";
import { checkDmRequest, checkRoomRequest, checkSessionRequest } from "#edge/api/http-checks.ts";
import type { Checked } from "#edge/api/http-checks.ts";
import type { SessionRequest } from "#edge/api/http-schemas.ts";
import { socketPath, tokenLifetimeSMax } from "#edge/api/limits.ts";
import { isScope, scopesAll } from "#edge/auth/session.ts";
import type { PostOutcome } from "#edge/connection/intents.ts";
import { utf8From } from "#replica/base/text.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import { roomOf } from "./callers.ts";
import type { Callers } from "./callers.ts";
import type { HttpDeps } from "./http-deps.ts";
import { Problem } from "./problem.ts";

/** The value of a checked body; throws BAD_FRAME. */
export function bodyOf<T>(checked: Checked<T>): T {
  if (!checked.ok) throw new Problem("BAD_FRAME", checked.detail);
  return checked.value;
}

/** Public base URL: configured, or where the caller came to. */
export function baseUrl(request: FastifyRequest, deps: HttpDeps): string {
  return deps.publicUrl ?? `${request.protocol}://${request.headers.host ?? "localhost"}`;
}

const dmPrefix = "dm:";

/** Id of the room of two people: the same for both orders. */
export function dmRoom(users: readonly string[]): string {
  return `${dmPrefix}${sha256(utf8From(JSON.stringify([...users].sort()))).slice(0, 40)}`;
}

/** Rooms, direct messages, sessions. */
export function roomRoutes(app: FastifyInstance, deps: HttpDeps, callers: Callers): void {
  app.post("/v1/rooms", async (request, reply) => {
    const key = callers.application(request, "rooms");
    const { room, creator = key.id } = bodyOf(checkRoomRequest(request.body));
    const answer = await create(deps, { tenant: key.tenant, room }, creator);
    return await reply.code(answer.created ? 201 : 200).send(answer);
  });

  app.post("/v1/dms", async (request, reply) => {
    const { users } = bodyOf(checkDmRequest(request.body));
    const tenant = await tenantOfPair(request, users, deps, callers);
    const room = dmRoom(users);
    const [low = "", high = ""] = [...users].sort();
    const outcome = await new Promise<PostOutcome>((resolve) => {
      deps.hub.createDm({ tenant, room }, [low, high], resolve);
    });
    const answer = createdRoom(room, outcome);
    return await reply.code(answer.created ? 201 : 200).send(answer);
  });

  app.post("/v1/rooms/:room/sessions", async (request, reply) => {
    const room = roomOf(request);
    const asked = bodyOf(checkSessionRequest(request.body ?? {}));
    const { tenant, user } = await subjectOf(request, room, asked, deps, callers);
    const scopes = (asked.scopes ?? scopesAll).filter(isScope);
    const lifetimeS = asked.ttl_s ?? tokenLifetimeSMax;
    const { gate } = deps;
    const { token, expiresS } = await gate.mintSession({ tenant, room, user, scopes, lifetimeS });
    const url = `${baseUrl(request, deps).replace(/^http/, "ws")}${socketPath}`;
    return await reply.code(201).send({ token, expires: expiresS, url, user });
  });
}

async function create(deps: HttpDeps, name: RoomName, creator: string) {
  const outcome = await new Promise<PostOutcome>((resolve) => {
    deps.hub.createRoom(name, creator, resolve);
  });
  return createdRoom(name.room, outcome);
}

function createdRoom(room: string, outcome: PostOutcome) {
  if (!outcome.ok) throw Problem.of(outcome.refusal);
  const { epoch, seq, dup } = outcome;
  return { room, epoch, head: seq, floor: 1, created: !dup };
}

/** Tenant of a pair's room: an application opens any, a login those that it is one of. Throws. */
async function tenantOfPair(
  request: FastifyRequest,
  users: readonly string[],
  deps: HttpDeps,
  callers: Callers,
): Promise<string> {
  const { authorization, cookie } = request.headers;
  const login = authorization === undefined ? await deps.gate.login(cookie) : null;
  if (login === null) return callers.application(request, "rooms").tenant;
  callers.loggedIn(login);
  if (users.includes(login.user)) return login.tenant;
  throw new Problem("DENIED", "A login opens only rooms that it is one of the two in.");
}

/** True for a direct message of that user; the shard knows who is in it. */
async function isOwnPair(deps: HttpDeps, name: RoomName, user: string): Promise<boolean> {
  if (!name.room.startsWith(dmPrefix)) return false;
  const outcome = await deps.hub.standing(name, user);
  return outcome.ok && outcome.standing.mayRead;
}

/** Who the session is for: by API key anybody, by a login cookie oneself in the login's rooms. */
async function subjectOf(
  request: FastifyRequest,
  room: string,
  asked: SessionRequest,
  deps: HttpDeps,
  callers: Callers,
): Promise<{ readonly tenant: string; readonly user: string }> {
  const { authorization, cookie } = request.headers;
  const login = authorization === undefined ? await deps.gate.login(cookie) : null;
  if (login === null) {
    const need = "This call needs a login's cookie, or an API key with scope sessions as bearer.";
    const { tenant } = callers.application(request, "sessions", need);
    if (asked.user === undefined) throw new Problem("BAD_FRAME", "user is missing.");
    return { tenant, user: asked.user };
  }
  const { tenant, user, rooms } = login;
  if (!rooms.includes(room) && !(await isOwnPair(deps, { tenant, room }, user))) {
    throw new Problem("DENIED", "The login does not include this room.");
  }
  if (asked.user !== undefined && asked.user !== user) {
    throw new Problem("DENIED", "A login mints sessions for itself only.");
  }
  return { tenant, user };
}
