import { utf8From } from "#replica/base/text.ts";
import { nameBytesMax } from "#replica/base/limits.ts";
import type { Role } from "#replica/wire/entry-body.ts";
import { roles } from "#replica/wire/entry-body.ts";
import type { Viewer } from "#replica/wire/visibility.ts";
import { cellKinds } from "./cell-table.ts";
import type { MachineTables } from "./machine-tables.ts";
import { settingBits } from "./rules.ts";

/** What a user is in a room, as of the last op applied. */
export interface Standing {
  readonly role: Role;
  /** Log time until which the user is banned or muted, microseconds; 0 = not. */
  readonly bannedUntilUs: number;
  readonly mutedUntilUs: number;
  /** Seq of this room or thread that the user has read up to; 0 = none. */
  readonly marker: number;
  readonly mayRead: boolean;
  /** For `viewItems`: what of the log this user sees. */
  readonly viewer: Viewer;
}

const empty = new Uint8Array(0);

/** Standing of a user in a room or thread that exists. */
export function standingOf(tables: MachineTables, room: number, user: string): Standing {
  const { rooms, cells, state } = tables;
  const base = rooms.page(room).base[rooms.at(room)] ?? 0;
  const name = utf8From(user);
  const length = Math.min(name.length, nameBytesMax + 1);
  const of = (where: number, kind: number): number => cells.get(where, kind, 0, name, 0, length);
  const settings = cells.get(base, cellKinds.settings, 0, empty, 0, 0);
  const cell = of(base, cellKinds.role);
  const creator = cell === 0 && rooms.isCreator(base, name, 0, length);
  const given = creator ? roles.length - 1 : Math.max(0, (cell % 8) - 1);
  const open = (settings & settingBits.closed) === 0;
  const role = roles[given === 0 && open ? roles.indexOf("member") : given] ?? "none";
  const current = (until: number): number => (until > state.timeUs ? until : 0);
  const bannedUntilUs = current(of(base, cellKinds.ban));
  let joined = 0;
  if ((settings & settingBits.fromJoin) !== 0 && !creator) {
    joined = given > 0 ? Math.floor(cell / 8) : Number.MAX_SAFE_INTEGER;
    // A thread is seen by those who see its root.
    if (room !== base) joined = rootOf(tables, room) >= joined ? 0 : Number.MAX_SAFE_INTEGER;
  }
  const staff = role === "moderator" || role === "owner";
  return {
    role,
    bannedUntilUs,
    mutedUntilUs: current(of(base, cellKinds.mute)),
    marker: of(room, cellKinds.marker),
    mayRead: bannedUntilUs === 0 && role !== "none",
    viewer: { user, staff, fromSeq: joined },
  };
}

function rootOf(tables: MachineTables, room: number): number {
  const { room: name } = tables.rooms.name(room);
  return Number(name.slice(name.indexOf("/") + 1));
}
