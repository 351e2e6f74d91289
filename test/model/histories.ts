// Random histories of a shard: what clients ask for, when time passes, when checkpoints are made.
import fc from "fast-check";
import { utf8From } from "#replica/base/text.ts";
import type { EntryType } from "#replica/wire/entry.ts";
import { encodeMember, encodeSanction, encodeSettings } from "#replica/wire/entry-body.ts";
import type { Role } from "#replica/wire/entry-body.ts";
import type { Operation } from "#test/support/prepares.ts";
import { configure, createDm, createRoom, post } from "#test/support/prepares.ts";
import { retain, trim, uuidv7 } from "#test/support/prepares.ts";
import type { ModelOperation, ModelPost } from "./machine-model.ts";

const hourMs = 3_600_000;
const roleNames = ["none", "reader", "member", "moderator", "owner"] as const;
const forever = Number.MAX_SAFE_INTEGER;

/** Users of the histories, the makers of rooms among them. */
export const users = ["ann", "bob", "cat"] as const;
const room = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom("a", "a", "a", "a", "b", "b", "dm", "a/4", "a/5") },
  { weight: 1, arbitrary: fc.constantFrom("ünïcode", "dm/1", "b/1", "a/2", "a/x", "a/4/1") },
);
const tenant = fc.oneof(
  { weight: 19, arbitrary: fc.constant("t") },
  { weight: 1, arbitrary: fc.constant("u") },
);
const user = fc.constantFrom(...users);
const types = [
  ...["message", "message", "message", "message", "message", "message", "message", "message"],
  ...["message", "message", "message", "message", "message", "message", "message", "thread"],
  ...[
    "edit",
    "edit",
    "edit",
    "edit",
    "edit",
    "redact",
    "redact",
    "react",
    "unreact",
    "marker",
    "marker",
  ],
  ...["member", "member", "member", "ban", "mute", "settings"],
] as const;
const quota = fc.constantFrom(0, 0, 1, 2, 3);

const draftPost = fc.record({
  kind: fc.constant("post" as const),
  tenant,
  room,
  sender: user,
  authority: fc.constantFrom(false, false, false, true),
  ageMs: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(0, 1, 2, 1000) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(24 * hourMs, 24 * hourMs + 1, 23 * hourMs, -300_000, -300_001),
    },
  ),
  tail: fc.nat(30),
  type: fc.constantFrom(...types),
  /** Far-off parents now and then; else one that is there, if the type wants one. */
  parent: fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(0, 1, 2, 9, 99) },
    { weight: 9, arbitrary: fc.constant(-1) },
  ),
  back: fc.nat(3),
  body: fc.oneof(
    { weight: 6, arbitrary: fc.constant("fitting" as const) },
    {
      weight: 1,
      arbitrary: fc.constantFrom("", "hello", "x".repeat(900), "y".repeat(16_000), "héllo"),
    },
  ),
  user,
  role: fc.constantFrom(...roleNames),
  /** -1: over at the next commit. */
  until: fc.constantFrom(0, -1, -1, 1000, 60_000, forever),
  settings: fc.record({
    closed: fc.boolean(),
    readonly: fc.constantFrom(false, false, true),
    fromJoin: fc.boolean(),
    privateMarkers: fc.boolean(),
  }),
});
type DraftPost = typeof draftPost extends fc.Arbitrary<infer T> ? T : never;

const draft = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("create_room" as const),
      tenant,
      room,
      creator: fc.constantFrom("ann", "ann", "bob", ""),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("create_dm" as const),
      tenant,
      room: fc.constantFrom("dm", "dm", "dm", "a", "dm2", "dm/1"),
      users: fc.constantFrom<[string, string]>(
        ["ann", "bob"],
        ["ann", "bob"],
        ["ann", "cat"],
        ["cat", "cat"],
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("configure" as const),
      tenant,
      room: fc.constantFrom("", "", "a", "a", "b", "dm", "a/1"),
      version: fc.integer({ min: 1, max: 4 }),
      rooms: quota,
      members: quota,
      entriesPerSecond: fc.constantFrom(0, 0, 0, 1, 3),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("retain" as const),
      tenant,
      room: fc.constantFrom("", "", "a", "a", "b", "dm", "a/4"),
      version: fc.integer({ min: 1, max: 4 }),
      ageSeconds: fc.constantFrom(0, 0, 60, 26 * 3600),
      entries: fc.constantFrom(0, 0, 1, 3),
      bytes: fc.constantFrom(0, 0, 150, 220, 300),
      hold: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("trim" as const),
      tenant,
      room,
      /** Below the head; -1: above it. */
      back: fc.integer({ min: -1, max: 6 }),
    }),
  },
  { weight: 14, arbitrary: draftPost },
  {
    weight: 4,
    // An earlier post again: as it was, or with the same key and something else changed.
    arbitrary: fc.record({
      kind: fc.constant("retry" as const),
      back: fc.nat(40),
      change: fc.constantFrom("", "", "", "body", "cut", "parent", "sender", "room", "type"),
    }),
  },
);
/** What somebody asks for, before it is known when. */
export type Draft = typeof draft extends fc.Arbitrary<infer T> ? T : never;

const stepMs = fc.constantFrom(0, 0, 0, 0, 1, 1, 1, 1, 1, 50, 50, 1000, 1000, hourMs, 23 * hourMs);
const event = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("commit" as const),
      /** Log time of a whole millisecond, where the limits of keys\' own times lie. */
      whole: fc.constantFrom(false, false, false, true),
      stepMs,
      requests: fc.array(fc.array(draft, { minLength: 1, maxLength: 6 }), {
        minLength: 1,
        maxLength: 3,
      }),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: "checkpoint" as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: "restart" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "noop" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "checkpoints" as const }) },
);

function firstPost(tail: number): Draft & { kind: "post" } {
  const settings = { closed: false, readonly: false, fromJoin: false, privateMarkers: false };
  const from = { tenant: "t", room: "a", sender: "ann", authority: false, ageMs: 0, tail } as const;
  const rest = { type: "message", parent: 0, back: 0, body: "fitting", user: "ann" } as const;
  return { kind: "post", ...from, ...rest, role: "none", until: 0, settings };
}

/** A history: most begin with rooms that exist, so that something can happen in them. */
export const history = fc
  .tuple(fc.integer({ min: 0, max: 9 }), fc.array(event, { minLength: 20, maxLength: 60 }))
  .map(([bare, events]) => {
    if (bare === 0) return events;
    const made: Draft[] = [
      { kind: "create_room", tenant: "t", room: "a", creator: "ann" },
      { kind: "create_room", tenant: "t", room: "b", creator: "bob" },
      { kind: "create_dm", tenant: "t", room: "dm", users: ["ann", "bob"] },
    ];
    const said = [1, 2, 3, 4, 5].map((tail) => firstPost(tail));
    if (bare % 2 === 0)
      said.push({ ...firstPost(6), type: "member", user: "bob", role: "moderator" });
    return [
      { kind: "commit" as const, whole: false, stepMs: 0, requests: [made, said] },
      ...events,
    ];
  });
/** One thing that happens. */
export type Happening = (typeof history extends fc.Arbitrary<infer T> ? T : never)[number];

function bodyOf(from: DraftPost, timeUs: number): string {
  if (from.body !== "fitting") return from.body;
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const ending = from.until === -1 ? timeUs + 1 : timeUs + from.until * 1000;
  const until = from.until === 0 || from.until === forever ? from.until : ending;
  switch (from.type) {
    case "member":
      return text(encodeMember({ user: from.user, role: from.role as Role }));
    case "ban":
    case "mute":
      return text(encodeSanction({ user: from.user, until }));
    case "settings":
      return text(encodeSettings(from.settings));
    case "marker":
      return "";
    default:
      return from.type === "react" || from.type === "unreact" ? "+1" : `said ${from.tail}`;
  }
}

const ruleTypes: readonly string[] = ["member", "ban", "mute", "settings"];

/**
 * The draft as an operation at this time. `posts`: all posts so far, for retries; grows. `targets`:
 * seqs of a log that something can point at, by tenant and name; `headOf`: its newest seq.
 */
export function toModel(
  timeUs: number,
  from: Draft,
  posts: ModelPost[],
  targets: (tenant: string, room: string) => readonly number[],
  headOf: (tenant: string, room: string) => number,
): ModelOperation {
  if (from.kind === "trim") {
    const { kind, tenant: whose, room: which, back } = from;
    return { kind, tenant: whose, room: which, floor: Math.max(1, headOf(whose, which) - back) };
  }
  if (from.kind === "retry") {
    const old = posts[Math.max(0, posts.length - 1 - from.back)];
    if (old === undefined) {
      return { kind: "create_room", tenant: "t", room: "a", creator: "ann" };
    }
    if (from.change === "body") return { ...old, body: `${old.body.slice(1)}!` };
    if (from.change === "cut") return { ...old, body: old.body.slice(0, -1) };
    if (from.change === "parent") return { ...old, parent: old.parent === 0 ? 1 : 0 };
    if (from.change === "sender") return { ...old, sender: old.sender === "ann" ? "bob" : "ann" };
    if (from.change === "type") return { ...old, type: old.type === "edit" ? "react" : "edit" };
    return from.change === "room" ? { ...old, room: old.room === "a" ? "b" : "a" } : old;
  }
  if (from.kind !== "post") return from;
  const { tenant: of, room: where, sender, authority, ageMs, tail: keyTail, type } = from;
  const keyMs = Math.floor(timeUs / 1000) - ageMs;
  const body = bodyOf(from, timeUs);
  const wants = type !== "message" && !ruleTypes.includes(type);
  const near = wants ? (targets(of, where).at(-1 - from.back) ?? 1) : 0;
  const parent = from.parent >= 0 ? from.parent : near;
  const place = { kind: "post" as const, tenant: of, room: where };
  const made = { ...place, sender, authority, keyMs, keyTail, type, parent, body };
  posts.push(made);
  return made;
}

/** The operation in the machine's words. */
export function toMachine(operation: ModelOperation): Operation {
  if (operation.kind === "create_room") {
    return createRoom(operation.room, operation.tenant, operation.creator);
  }
  if (operation.kind === "create_dm") {
    return createDm(operation.room, operation.users, operation.tenant);
  }
  if (operation.kind === "configure") return configure(operation);
  if (operation.kind === "retain") return retain(operation);
  if (operation.kind === "trim") return trim(operation.room, operation.floor, operation.tenant);
  const { keyMs, keyTail, parent } = operation;
  const type = operation.type as EntryType;
  // Another salt with each attempt, as from another edge.
  const salt = Uint8Array.from({ length: 16 }, (_, i) => (keyTail * 31 + i + parent) & 255);
  return post({ ...operation, key: uuidv7(keyMs, keyTail), type, salt });
}

/** A body as history shows it. */
export function bodyBytes(body: string): Uint8Array {
  return utf8From(body);
}
