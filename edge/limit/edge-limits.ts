import type { Rate } from "./token-bucket.ts";

/** What one edge process allows; the config file may override each. */
export interface EdgeLimits {
  /** Frames of one connection. */
  readonly frames: Rate;
  /** Posts of one connection. */
  readonly posts: Rate;
  /** Refused frames in a row after which a connection is closed as abusive. */
  readonly abuseFramesMax: number;
  /** New connections of one address. */
  readonly connects: Rate;
  /** HTTP calls of one API key or user. */
  readonly calls: Rate;
  /** Attempts to log in of one address. */
  readonly logins: Rate;
  /** Posts of one tenant through this process. */
  readonly tenantPosts: Rate;
  /** Connections of the whole process. */
  readonly connectionsMax: number;
  /** Connections of one user, counted by the user's first attach. */
  readonly connectionsPerUserMax: number;
  /** Rooms followed by the whole process. */
  readonly roomsMax: number;
}

/** Defaults. */
export const edgeLimitsDefault: EdgeLimits = {
  frames: { perS: 20, burst: 60 },
  posts: { perS: 5, burst: 20 },
  abuseFramesMax: 100,
  connects: { perS: 50, burst: 500 },
  calls: { perS: 2_000, burst: 5_000 },
  logins: { perS: 1, burst: 10 },
  tenantPosts: { perS: 100_000, burst: 100_000 },
  connectionsMax: 100_000,
  connectionsPerUserMax: 10,
  roomsMax: 100_000,
};

/** Limits with overrides, or a sentence that says which override is wrong. */
export function edgeLimitsFrom(overrides: unknown): EdgeLimits | string {
  if (overrides === undefined) return edgeLimitsDefault;
  if (typeof overrides !== "object" || overrides === null || Array.isArray(overrides)) {
    return "limits must be an object";
  }
  const limits: Record<string, unknown> = { ...edgeLimitsDefault };
  for (const [name, value] of Object.entries(overrides)) {
    const present = Object.hasOwn(limits, name) ? limits[name] : undefined;
    if (present === undefined) return `limits has no member ${name.slice(0, 64)}`;
    const fits = typeof present === "number" ? isCount(value) : isRate(value);
    if (!fits) return `limits.${name} is malformed`;
    limits[name] = value;
  }
  return limits as unknown as EdgeLimits;
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}

function isRate(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { perS, burst } = value as Partial<Rate>;
  return typeof perS === "number" && perS > 0 && Number.isFinite(perS) && isCount(burst);
}
