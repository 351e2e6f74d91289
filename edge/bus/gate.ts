import type { ApiKey } from "#edge/auth/api-keys.ts";
import type { Login } from "#edge/auth/login.ts";
import type { Scope } from "#edge/auth/session.ts";
import type { VerifyOutcome } from "#edge/connection/intents.ts";

/** A minted token. */
export interface Minted {
  readonly token: string;
  /** Seconds since 1970. */
  readonly expiresS: number;
}

/** What sockets and HTTP calls need to know who calls; edge/server implements it with jose. */
export interface Gate {
  /** Judges a session token; `done` may be called inside this call when the answer is known. */
  verify(token: string, done: (outcome: VerifyOutcome) => void): void;
  /** The API key of an `Authorization` header, or null. */
  apiKey(authorization: string | undefined): ApiKey | null;
  /** A session token. */
  mintSession(session: {
    readonly tenant: string;
    readonly room: string;
    readonly user: string;
    readonly scopes: readonly Scope[];
    readonly lifetimeS: number;
  }): Promise<Minted>;
  /** Takes a one-time code, for good: null when it is wrong or used. */
  takeLogin(code: string): Promise<Login | null>;
  /** The value of a login cookie. */
  mintLogin(login: Login): Promise<string>;
  /** The login of a `Cookie` header, or null. */
  login(cookie: string | undefined): Promise<Login | null>;
}
