import type { FastifyRequest } from "fastify";
import { checkRoom } from "#edge/api/http-checks.ts";
import { idCharsMax } from "#edge/api/limits.ts";
import { apiKeyAllows } from "#edge/auth/api-keys.ts";
import type { ApiKey, ApiScope } from "#edge/auth/api-keys.ts";
import type { Login } from "#edge/auth/login.ts";
import type { Scope, Session } from "#edge/auth/session.ts";
import type { VerifyOutcome } from "#edge/connection/intents.ts";
import { KeyedBuckets } from "#edge/limit/keyed-buckets.ts";
import type { RoomName } from "#replica/wire/client-message.ts";
import { threadName, threadOf } from "#replica/wire/room-names.ts";
import type { HttpDeps } from "./http-deps.ts";
import { Problem } from "./problem.ts";

/** Who calls, and for which room or thread: a session token of it, or an application's key. */
export interface RoomCaller {
  readonly name: RoomName;
  /** Null when an application calls by its key. */
  readonly session: Session | null;
  /** Id of the API key, null when a session calls. */
  readonly keyId: string | null;
}

/** Whose sight counts: the session's user; null = the tenant's server. */
export function viewerOf({ session }: RoomCaller): string | null {
  return session?.user ?? null;
}

function needOf(scope: ApiScope): string {
  return `This call needs an API key with scope ${scope}: Authorization: Bearer KEY.`;
}

function eitherNeed(scope: ApiScope): string {
  return (
    `This call needs a session token of the room, or an API key, with scope ${scope}: ` +
    "Authorization: Bearer TOKEN."
  );
}

/** The room id in a call's path; throws BAD_FRAME. */
export function roomOf(request: FastifyRequest): string {
  const { room } = request.params as { readonly room?: unknown };
  const checked = checkRoom(room);
  if (!checked.ok) throw new Problem("BAD_FRAME", `room: ${checked.detail}`);
  return checked.value;
}

/** Name of the room in a call's path, or of the thread that its query names; throws BAD_FRAME. */
function logOf(request: FastifyRequest, room: string): string {
  const { thread } = request.query as { readonly thread?: unknown };
  if (thread === undefined) return room;
  const root = typeof thread === "string" && /^[1-9][0-9]{0,15}$/.test(thread) ? Number(thread) : 0;
  const log = threadName(room, root);
  if (threadOf(log) !== null && log.length <= idCharsMax) return log;
  throw new Problem("BAD_FRAME", "thread is the seq of a message of the room.");
}

/** Finds out who calls; every answer counts against the caller's rate. */
export class Callers {
  private readonly deps: HttpDeps;
  private readonly calls: KeyedBuckets;
  private readonly logins: KeyedBuckets;

  /** Rates start full. */
  constructor(deps: HttpDeps) {
    this.deps = deps;
    this.calls = new KeyedBuckets(deps.limits.calls, 10_000, performance.now());
    this.logins = new KeyedBuckets(deps.limits.logins, 10_000, performance.now());
  }

  /** The API key, which must allow that; throws. */
  application(request: FastifyRequest, scope: ApiScope, need = needOf(scope)): ApiKey {
    const { authorization } = request.headers;
    const key = this.deps.gate.apiKey(authorization);
    if (key === null) {
      this.limit(this.logins, request.ip);
      const unknown = authorization === undefined ? "" : "This is no API key of this edge. ";
      throw new Problem("TOKEN_INVALID", unknown + need);
    }
    if (!apiKeyAllows(key, scope)) {
      const detail = `The API key ${key.id} lacks scope ${scope}: use one that has it.`;
      throw new Problem("DENIED", detail);
    }
    this.limit(this.calls, `key ${key.id}`);
    return key;
  }

  /** A session token of the path's room with that scope, or an API key that allows it; throws. */
  async inRoom(request: FastifyRequest, scope: Scope & ApiScope): Promise<RoomCaller> {
    const room = roomOf(request);
    const { authorization } = request.headers;
    const token = /^Bearer ([^ .]+\.[^ .]+\.[^ .]+)$/.exec(authorization ?? "")?.[1];
    if (token === undefined) {
      const { tenant, id } = this.application(request, scope, eitherNeed(scope));
      return { name: { tenant, room: logOf(request, room) }, session: null, keyId: id };
    }
    const outcome = await new Promise<VerifyOutcome>((resolve) => {
      this.deps.gate.verify(token, resolve);
    });
    if (!outcome.ok) {
      this.limit(this.logins, request.ip);
      throw Problem.of(outcome.refusal);
    }
    const { session } = outcome;
    if (session.room !== room) {
      const detail = `The token is for room ${session.room}: mint one for room ${room}.`;
      throw new Problem("DENIED", detail);
    }
    if (!session.scopes.includes(scope)) {
      throw new Problem("DENIED", `The token lacks scope ${scope}: mint one that has it.`);
    }
    this.limit(this.calls, `user ${session.tenant}\u0000${session.user}`);
    const name = { tenant: session.tenant, room: logOf(request, room) };
    return { name, session, keyId: null };
  }

  /** Counts a call of somebody who is logged in on the page; throws RATE_LIMITED. */
  loggedIn({ tenant, user }: Login): void {
    this.limit(this.calls, `user ${tenant}\u0000${user}`);
  }

  /** Counts an attempt to log in; throws RATE_LIMITED. */
  attempt(request: FastifyRequest): void {
    this.limit(this.logins, request.ip);
  }

  private limit(buckets: KeyedBuckets, key: string): void {
    const waitMs = buckets.take(key, performance.now());
    if (waitMs > 0) throw new Problem("RATE_LIMITED", undefined, waitMs);
  }
}
