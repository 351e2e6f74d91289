import { fail, ok } from "#replica/base/result.ts";
import type { Result } from "#replica/base/result.ts";
import { isSystemTenant } from "#replica/wire/audit-room.ts";

/** What an API key allows. */
export type ApiScope = "rooms" | "sessions" | "read" | "post" | "audit";
const apiScopes: readonly string[] = ["rooms", "sessions", "read", "post", "audit", "*"];

/** An application's key; the file holds its hash only. */
export interface ApiKey {
  readonly id: string;
  /** SHA-256 of the key's text, 64 lower-case hex digits. */
  readonly sha256: string;
  /** Tenant that the application speaks for. */
  readonly tenant: string;
  /** What it may do; `*` = everything. */
  readonly scopes: readonly string[];
}

/** The keys of the mounted file, at most 1,000, or why the file is refused. */
export function apiKeysFrom(text: string): Result<readonly ApiKey[], "json" | "keys"> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return fail("json");
  }
  if (!Array.isArray(parsed) || parsed.length > 1000) return fail("keys");
  return parsed.every(isApiKey) ? ok(parsed) : fail("keys");
}

function isApiKey(value: unknown): value is ApiKey {
  if (typeof value !== "object" || value === null) return false;
  const { id, sha256, tenant, scopes } = value as Partial<Record<string, unknown>>;
  if (typeof id !== "string" || id.length < 1 || id.length > 128) return false;
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) return false;
  if (typeof tenant !== "string" || tenant.length > 128 || !Array.isArray(scopes)) return false;
  if (isSystemTenant(tenant)) return false;
  return scopes.every((scope) => apiScopes.includes(scope as string));
}

/**
 * The key with that hash, or null. Comparing hashes of 256-bit random keys leaks nothing that
 * helps to guess one.
 */
export function apiKeyByHash(keys: readonly ApiKey[], sha256: string): ApiKey | null {
  return keys.find((key) => key.sha256 === sha256) ?? null;
}

/** True when the key allows it. */
export function apiKeyAllows(key: ApiKey, scope: ApiScope): boolean {
  return key.scopes.includes(scope) || key.scopes.includes("*");
}
