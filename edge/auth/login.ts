import { isSystemTenant } from "#replica/wire/audit-room.ts";

/** `aud` of login cookies: never accepted where a session token is asked for. */
export const loginAudience = "page";
/** Lifetime of a login cookie. */
export const loginLifetimeS = 12 * 3600;
/** Name of the cookie. */
export const loginCookie = "tigerchat_login";

/** A person logged in on the page. */
export interface Login {
  readonly user: string;
  readonly name: string;
  readonly tenant: string;
  readonly rooms: readonly string[];
}

/** The login in a one-time code's file or in a cookie's claims, or null when malformed. */
export function loginFrom(value: unknown): Login | null {
  if (typeof value !== "object" || value === null) return null;
  const { user, name, tenant, rooms } = value as Partial<Record<string, unknown>>;
  if (typeof user !== "string" || user.length < 1 || user.length > 128) return null;
  if (typeof tenant !== "string" || tenant.length > 128 || isSystemTenant(tenant)) return null;
  if (!Array.isArray(rooms) || rooms.length > 64) return null;
  if (!rooms.every((room) => typeof room === "string" && room.length <= 128)) return null;
  const shown = typeof name === "string" && name.length <= 128 ? name : user;
  return { user, name: shown, tenant, rooms };
}

/** The login of a cookie's claims whose signature was checked, or null. */
export function loginFromClaims(
  claims: Readonly<Record<string, unknown>>,
  issuer: string,
  nowS: number,
): Login | null {
  const { iss, aud, exp } = claims;
  if (iss !== issuer || aud !== loginAudience) return null;
  if (typeof exp !== "number" || exp <= nowS) return null;
  return loginFrom(claims["login"]);
}

/** The value of one cookie in a Cookie header, or null. RFC 6265 section 4.2.1. */
export function cookieFrom(header: string | undefined, name: string): string | null {
  if (header === undefined || header.length > 8192) return null;
  for (const part of header.split(";")) {
    const [key = "", value = ""] = part.trim().split("=", 2);
    if (key === name && value !== "") return value;
  }
  return null;
}
