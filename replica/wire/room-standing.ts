import { textFromUtf8, utf8From } from "#replica/base/text.ts";
import type { Role } from "./entry-body.ts";
import { roles } from "./entry-body.ts";

/** What a user is in a room or thread, as the replica that was asked knows it. */
export interface RoomStanding {
  readonly role: Role;
  /** Log time until which the user is banned or muted, microseconds; 0 = not. */
  readonly bannedUntilUs: number;
  readonly mutedUntilUs: number;
  /** Seq that the user has read up to; 0 = none. */
  readonly marker: number;
  /** False: nothing of the room may be shown to the user. */
  readonly mayRead: boolean;
  /** Moderator or owner. */
  readonly staff: boolean;
  /** Entries with a lower seq are hidden from the user. */
  readonly fromSeq: number;
}

/** Bytes of a standing on the wire: JSON text. */
export function encodeStanding(standing: RoomStanding): Uint8Array {
  const { role, bannedUntilUs, mutedUntilUs, marker, mayRead, staff, fromSeq } = standing;
  return utf8From(
    JSON.stringify({ role, bannedUntilUs, mutedUntilUs, marker, mayRead, staff, fromSeq }),
  );
}

/** Reads a standing; null when it is none. Never throws. */
export function decodeStanding(bytes: Uint8Array): RoomStanding | null {
  const text = textFromUtf8(bytes);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    const found = new Map<string, unknown>(Object.entries(value));
    const count = (name: string): number => {
      const number = found.get(name);
      return typeof number === "number" && Number.isSafeInteger(number) && number >= 0
        ? number
        : Number.NaN;
    };
    const role = roles.find((one) => one === found.get("role"));
    const [mayRead, staff] = [found.get("mayRead"), found.get("staff")];
    if (role === undefined || typeof mayRead !== "boolean" || typeof staff !== "boolean") {
      return null;
    }
    const [bannedUntilUs, mutedUntilUs] = [count("bannedUntilUs"), count("mutedUntilUs")];
    const [marker, fromSeq] = [count("marker"), count("fromSeq")];
    if (Number.isNaN(bannedUntilUs + mutedUntilUs + marker + fromSeq)) return null;
    return { role, bannedUntilUs, mutedUntilUs, marker, mayRead, staff, fromSeq };
  } catch {
    return null;
  }
}
