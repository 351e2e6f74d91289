// The machine's rules written again with plain objects and strings, without the machine's code:
// slow, obvious, and the judge of random histories.
import { fits, memberPattern, names, sanctionPattern, settingsPattern } from "./bodies.ts";
import { ByteCount, inForce, noQuotas } from "./keeping.ts";
import type { Keeping, Quotas } from "./keeping.ts";

/** A post as the model sees it. A thread is the room `<room>/<root>`. */
export interface ModelPost {
  readonly kind: "post";
  readonly tenant: string;
  readonly room: string;
  readonly sender: string;
  readonly authority: boolean;
  readonly keyMs: number;
  readonly keyTail: number;
  readonly type: string;
  readonly parent: number;
  readonly body: string;
}

/** An operation as the model sees it. */
export type ModelOperation =
  | ModelPost
  | {
      readonly kind: "create_room";
      readonly tenant: string;
      readonly room: string;
      readonly creator: string;
    }
  | {
      readonly kind: "create_dm";
      readonly tenant: string;
      readonly room: string;
      readonly users: readonly [string, string];
    }
  | {
      readonly kind: "configure";
      readonly tenant: string;
      /** Empty = the tenant. */
      readonly room: string;
      readonly version: number;
      readonly rooms: number;
      readonly members: number;
      readonly entriesPerSecond: number;
    }
  | ({
      readonly kind: "retain";
      readonly tenant: string;
      /** Empty = the tenant. */
      readonly room: string;
    } & Keeping)
  | {
      readonly kind: "trim";
      readonly tenant: string;
      readonly room: string;
      readonly floor: number;
    };

/** What the model answers. */
export interface ModelResult {
  readonly code: string;
  readonly dup: boolean;
  readonly seq: number;
  readonly timeUs: number;
}

/** An entry that the model has committed. */
export interface ModelEntry {
  readonly seq: number;
  readonly timeUs: number;
  readonly sender: string;
  readonly type: string;
  readonly parent: number;
  readonly body: string;
  readonly authority: boolean;
  /** Who sees it: everybody, moderators and those concerned, or the sender alone. */
  readonly shown: "all" | "staff" | "own";
  redacted: boolean;
}

/** One room with its threads. */
export interface ModelRoom {
  readonly tenant: string;
  readonly creator: string;
  readonly pair: readonly [string, string] | null;
  readonly roles: Map<string, { role: string; joined: number }>;
  readonly banned: Map<string, number>;
  readonly muted: Map<string, number>;
  settings: Readonly<Record<string, boolean>>;
  readonly quotas: Quotas;
}

/** A log: of a room, or of a thread in it. */
export interface ModelLog {
  readonly home: ModelRoom;
  /** Root of a thread; 0 = the room's own log. */
  readonly root: number;
  readonly entries: ModelEntry[];
  readonly markers: Map<string, number>;
  readonly bytes: ByteCount;
  /** Entries below it are gone. */
  floor: number;
}

interface Remembered {
  readonly keyMs: number;
  readonly entry: ModelEntry;
}

const aheadMaxUs = 300_000_000;
/** Remembered keys count until the last key of their span is too old. */
const spanMs = 1_048_576;
const ladder = ["none", "reader", "member", "moderator", "owner"];
function emptyLog(home: ModelRoom, root: number): ModelLog {
  return { home, root, entries: [], markers: new Map(), bytes: new ByteCount(), floor: 1 };
}

/** One shard's rooms. */
export class MachineModel {
  /** By tenant, a space, and the name of the room or thread. */
  readonly logs = new Map<string, ModelLog>();
  private readonly tenants = new Map<string, Quotas>();
  private keys = new Map<string, Remembered>();
  private timeUs = 0;
  private readonly windowUs: number;
  private readonly keysMax: number;
  private readonly roomsMax: number;

  constructor(options: { windowHours: number; keysMax: number; roomsMax: number }) {
    this.windowUs = options.windowHours * 3_600_000_000;
    this.keysMax = options.keysMax;
    this.roomsMax = options.roomsMax;
  }

  /** Keys that count against the maximum. */
  get keysCount(): number {
    return this.keys.size;
  }

  /** Moves log time. */
  advance(timeUs: number): void {
    this.timeUs = timeUs;
    const oldestMs = Math.max(0, Math.floor((timeUs - this.windowUs) / 1000));
    const firstSpan = Math.floor(oldestMs / spanMs);
    for (const [key, remembered] of this.keys) {
      if (Math.floor(remembered.keyMs / spanMs) < firstSpan) this.keys.delete(key);
    }
  }

  /** Applies one operation. */
  apply(operation: ModelOperation): ModelResult {
    if (operation.kind === "post") return this.post(operation);
    if (operation.kind === "configure") return this.configure(operation);
    if (operation.kind === "retain") return this.retain(operation);
    if (operation.kind === "trim") return this.trim(operation);
    return this.create(operation);
  }

  private quotasOf(tenant: string): Quotas {
    const quotas = this.tenants.get(tenant) ?? noQuotas();
    this.tenants.set(tenant, quotas);
    return quotas;
  }

  private create(operation: ModelOperation & { kind: "create_room" | "create_dm" }): ModelResult {
    const { tenant, room } = operation;
    if (room.includes("/")) return answer("bad_operation");
    const pair = operation.kind === "create_dm" ? operation.users : null;
    const known = this.logs.get(`${tenant} ${room}`);
    if (known !== undefined) {
      const same = known.home.pair?.join(" ") === pair?.join(" ");
      if (!same) return answer("key_mismatch");
      return { ...answer("room_exists"), seq: known.entries.length };
    }
    if (this.logs.size >= this.roomsMax) return answer("busy");
    const homes = [...this.logs.values()].filter((log) => log.root === 0);
    const used = homes.filter((log) => log.home.tenant === tenant).length;
    const most = this.quotasOf(tenant).rooms;
    if (most > 0 && used >= most) return answer("quota");
    const settings = { closed: pair !== null };
    const home: ModelRoom = {
      tenant,
      creator: operation.kind === "create_room" ? operation.creator : "",
      pair,
      roles: new Map(pair?.map((user) => [user, { role: "member", joined: 0 }])),
      banned: new Map(),
      muted: new Map(),
      settings,
      quotas: noQuotas(),
    };
    this.logs.set(`${tenant} ${room}`, emptyLog(home, 0));
    return answer("ok");
  }

  private configure(operation: ModelOperation & { kind: "configure" }): ModelResult {
    const { tenant, room, version, rooms, members, entriesPerSecond } = operation;
    const log = this.logs.get(`${tenant} ${room}`);
    if (room !== "" && log === undefined) return answer("no_room");
    if (room !== "" && log?.root !== 0) return answer("bad_operation");
    const quotas = log === undefined ? this.quotasOf(tenant) : log.home.quotas;
    if (version < quotas.version) return answer("stale");
    const done = { code: "ok", dup: false, seq: version, timeUs: this.timeUs };
    if (version === quotas.version) {
      const same = quotas.rooms === rooms && quotas.members === members;
      if (!same || quotas.entriesPerSecond !== entriesPerSecond) return answer("key_mismatch");
      return { ...done, dup: true };
    }
    Object.assign(quotas, { version, rooms, members, entriesPerSecond });
    return done;
  }

  private retain(operation: ModelOperation & { kind: "retain" }): ModelResult {
    const { tenant, room, version, ageSeconds, entries, bytes, hold } = operation;
    const log = this.logs.get(`${tenant} ${room}`);
    if (room !== "" && log === undefined) return answer("no_room");
    if (room !== "" && log?.root !== 0) return answer("bad_operation");
    const quotas = log === undefined ? this.quotasOf(tenant) : log.home.quotas;
    const wanted = { version, ageSeconds, entries, bytes, hold };
    if (version < quotas.keeping.version) return answer("stale");
    const dup = version === quotas.keeping.version;
    const same = JSON.stringify(wanted) === JSON.stringify(quotas.keeping);
    if (dup && !same) return answer("key_mismatch");
    quotas.keeping = wanted;
    return { code: "ok", dup, seq: version, timeUs: this.timeUs };
  }

  private holds({ quotas, tenant }: ModelRoom): boolean {
    return inForce(quotas.keeping, this.quotasOf(tenant).keeping).hold;
  }

  private trim(operation: ModelOperation & { kind: "trim" }): ModelResult {
    const { floor } = operation;
    const log = this.logs.get(`${operation.tenant} ${operation.room}`);
    if (log === undefined) return answer("no_room");
    const code = this.judgeTrim(log, floor);
    log.floor = code === "ok" ? floor : log.floor;
    return { code, dup: false, seq: log.floor, timeUs: this.timeUs };
  }

  private judgeTrim(log: ModelLog, floor: number): string {
    const { home, entries } = log;
    if (floor > entries.length) return "bad_operation";
    if (floor <= log.floor) return "stale";
    if (this.holds(home)) return "held";
    const ageUs = this.timeUs - (entries[floor - 2]?.timeUs ?? 0);
    if (ageUs <= this.windowUs + aheadMaxUs) return "not_due";
    const limits = inForce(home.quotas.keeping, this.quotasOf(home.tenant).keeping);
    const { ageSeconds: age, entries: most, bytes } = limits;
    const many = most > 0 && entries.length - (floor - 1) >= most;
    const large = bytes > 0 && log.bytes.leaves(floor, entries.length, bytes);
    return many || large || (age > 0 && ageUs > age * 1e6) ? "ok" : "not_due";
  }

  private post(operation: ModelPost): ModelResult {
    const { tenant, room, parent } = operation;
    const log = this.logs.get(`${tenant} ${room}`);
    const thread = log === undefined ? this.threadToBe(tenant, room) : null;
    if (log === undefined && thread === null) return answer("no_room");
    if (parent > (log?.entries.length ?? 0)) return answer("bad_operation");
    if (operation.keyMs * 1000 < this.timeUs - this.windowUs) return answer("key_too_old");
    if (operation.keyMs * 1000 > this.timeUs + aheadMaxUs) return answer("key_in_future");
    if (thread !== null) return this.firstAnswer(operation, thread.home, thread.root);
    if (log === undefined) return answer("no_room");
    const known = this.keys.get(keyOf(operation))?.entry;
    if (known !== undefined) {
      const same = known.type === operation.type && known.parent === parent;
      const sameBody = known.redacted || known.body === operation.body;
      if (!same || !sameBody) return answer("key_mismatch");
      return { code: "ok", dup: true, seq: known.seq, timeUs: known.timeUs };
    }
    if (this.keys.size >= this.keysMax) return answer("busy");
    const refused = this.judge(operation, log);
    if (refused !== null) return refused;
    return this.commit(operation, log);
  }

  private threadToBe(tenant: string, name: string): { home: ModelLog; root: number } | null {
    const parts = /^([^/]+)\/([1-9][0-9]*)$/.exec(name);
    if (parts === null) return null;
    const home = this.logs.get(`${tenant} ${parts[1]}`);
    const root = Number(parts[2]);
    return home === undefined || root > home.entries.length ? null : { home, root };
  }

  private firstAnswer(operation: ModelPost, log: ModelLog, root: number): ModelResult {
    if (this.keys.size >= this.keysMax || this.logs.size >= this.roomsMax) return answer("busy");
    if (operation.type !== "message") return answer("no_room");
    if (root < log.floor) return { ...answer("gone"), seq: log.floor };
    const entry = log.entries[root - 1];
    if (entry?.type !== "message") return answer("bad_target");
    if (entry.redacted) return answer("redacted");
    const { home } = log;
    const most = home.quotas.rooms;
    const threads = [...this.logs.values()].filter((l) => l.home === home && l.root > 0).length;
    if (most > 0 && threads >= most) return answer("quota");
    const refused = this.judge(operation, log);
    if (refused !== null) return refused;
    const made = emptyLog(home, root);
    this.logs.set(`${operation.tenant} ${operation.room}`, made);
    const { sender, authority } = operation;
    const seq = log.entries.length + 1;
    const said = { seq, timeUs: this.timeUs, sender, type: "thread", parent: root, body: "" };
    this.append({ ...said, authority, shown: "all", redacted: false }, log);
    return this.commit(operation, made);
  }

  /** Null, or why the post is refused. */
  private judge(operation: ModelPost, log: ModelLog): ModelResult | null {
    const { home } = log;
    const { type } = operation;
    const ruling = ["member", "ban", "mute", "settings"].includes(type);
    if (!fits(operation)) return answer("bad_operation");
    if (ruling && (log.root > 0 || home.pair !== null)) return answer("bad_operation");
    if (!operation.authority) {
      const refused = this.judgeSender(operation, home);
      if (refused !== null) return answer(refused);
    }
    const target = judgeTarget(operation, log, this.holds(home));
    if (target === "gone") return { ...answer(target), seq: log.floor };
    if (target !== null) return answer(target);
    if (type === "member" && this.isFull(operation, home)) return answer("quota");
    return this.judgeRate(home);
  }

  private judgeSender(operation: ModelPost, home: ModelRoom): string | null {
    const { type, sender, body } = operation;
    if ((home.banned.get(sender) ?? 0) > this.timeUs) return "banned";
    const rank = rankOf(home, sender);
    const needed: Readonly<Record<string, string>> = {
      message: home.settings["readonly"] === true ? "moderator" : "member",
      edit: "member",
      react: "member",
      unreact: "member",
      redact: "reader",
      marker: "reader",
      settings: "owner",
    };
    if (rank < ladder.indexOf(needed[type] ?? "none")) return "denied";
    if (type === "ban" || type === "mute") {
      const user = sanctionPattern.exec(body)?.[1] ?? "";
      if (rank < ladder.indexOf("moderator") || givenRank(home, user) >= rank) return "denied";
    }
    if (type === "member") {
      const [, user = "", wanted = ""] = memberPattern.exec(body) ?? [];
      if (!mayGive(home, sender, user, ladder.indexOf(wanted))) return "denied";
    }
    const speaks = ["message", "edit", "react", "unreact"].includes(type);
    return speaks && (home.muted.get(sender) ?? 0) > this.timeUs ? "muted" : null;
  }

  private isFull(operation: ModelPost, home: ModelRoom): boolean {
    const [, user = "", wanted = ""] = memberPattern.exec(operation.body) ?? [];
    const has = (role: string | undefined) => role !== undefined && role !== "none";
    if (!has(wanted) || has(home.roles.get(user)?.role)) return false;
    const tenant = this.quotasOf(operation.tenant).members;
    const most = home.quotas.members > 0 ? home.quotas.members : tenant;
    const count = [...home.roles.values()].filter((one) => has(one.role)).length;
    return most > 0 && count >= most;
  }

  private judgeRate(home: ModelRoom): ModelResult | null {
    const second = Math.floor(this.timeUs / 1e6);
    for (const { entriesPerSecond, counted } of [home.quotas, this.quotasOf(home.tenant)]) {
      const used = counted.filter((timeUs) => Math.floor(timeUs / 1e6) === second).length;
      if (entriesPerSecond === 0 || used < entriesPerSecond) continue;
      return { ...answer("rate_limited"), timeUs: (second + 1) * 1e6 };
    }
    return null;
  }

  private append(entry: ModelEntry, log: ModelLog): void {
    const { quotas, tenant } = log.home;
    log.entries.push(entry);
    log.bytes.add(entry, inForce(quotas.keeping, this.quotasOf(tenant).keeping).bytes);
  }

  private commit(operation: ModelPost, log: ModelLog): ModelResult {
    const { sender, type, parent, body, authority, keyMs } = operation;
    const { home } = log;
    const seq = log.entries.length + 1;
    const hidden = type === "marker" && home.settings["privateMarkers"] === true;
    const staff = type === "ban" || type === "mute";
    const shown = hidden ? "own" : staff ? "staff" : "all";
    const { timeUs } = this;
    const said = { seq, timeUs, sender, type, parent, body, authority };
    const entry: ModelEntry = { ...said, shown, redacted: false };
    this.append(entry, log);
    this.keys.set(keyOf(operation), { keyMs, entry });
    for (const quotas of [home.quotas, this.quotasOf(home.tenant)]) {
      if (quotas.entriesPerSecond > 0) quotas.counted.push(timeUs);
    }
    follow(operation, log, seq);
    return { code: "ok", dup: false, seq, timeUs };
  }
}

/** What an entry changes besides the log. */
function follow(operation: ModelPost, log: ModelLog, seq: number): void {
  const { home } = log;
  const { type, parent, body } = operation;
  if (type === "marker") log.markers.set(operation.sender, parent);
  if (type === "redact") {
    for (const entry of log.entries) {
      const edit = entry.type === "edit" && entry.parent === parent;
      const whole = log.entries[parent - 1]?.type === "message";
      if (entry.seq === parent || (edit && whole)) entry.redacted = true;
    }
  }
  if (type === "member") {
    const [, user = "", role = ""] = memberPattern.exec(body) ?? [];
    const before = home.roles.get(user);
    const stays = before !== undefined && before.role !== "none";
    home.roles.set(user, { role, joined: stays ? before.joined : seq });
  }
  const [, user = "", until = "0"] = sanctionPattern.exec(body) ?? [];
  if (type === "ban") home.banned.set(user, Number(until));
  if (type === "mute") home.muted.set(user, Number(until));
  if (type === "settings") {
    const values = settingsPattern.exec(body) ?? [];
    home.settings = Object.fromEntries(names.map((name, i) => [name, values[i + 1] === "true"]));
  }
}

function judgeTarget(operation: ModelPost, log: ModelLog, held: boolean): string | null {
  const { type, parent, sender } = operation;
  if (type === "marker") return parent > (log.markers.get(sender) ?? 0) ? null : "stale";
  if (!["edit", "redact", "react", "unreact"].includes(type)) return null;
  if (parent < log.floor) return "gone";
  const target = log.entries[parent - 1];
  const right = target?.type === "message" || (type === "redact" && target?.type === "edit");
  if (target === undefined || !right) return "bad_target";
  if (target.redacted) return "redacted";
  const own = target.sender === sender;
  if (type === "redact" && held) return "held";
  if (type === "redact") {
    const staff = rankOf(log.home, sender) >= ladder.indexOf("moderator");
    return own || staff || operation.authority ? null : "denied";
  }
  if (type !== "edit") return null;
  if (!own) return "denied";
  const edits = log.entries.filter((entry) => entry.type === "edit" && entry.parent === parent);
  return edits.length < 50 ? null : "quota";
}

function givenRank(home: ModelRoom, user: string): number {
  const given = home.roles.get(user)?.role;
  return ladder.indexOf(given ?? (user !== "" && home.creator === user ? "owner" : "none"));
}

/** Rank of a user in a room; in an open room everybody is a member at least. */
export function rankOf(home: ModelRoom, user: string): number {
  const given = givenRank(home, user);
  return given === 0 && home.settings["closed"] !== true ? ladder.indexOf("member") : given;
}

function mayGive(home: ModelRoom, sender: string, user: string, wanted: number): boolean {
  const rank = rankOf(home, sender);
  if (sender === user) return wanted <= rank;
  if (rank === ladder.indexOf("owner")) return true;
  const moderates = rank >= ladder.indexOf("moderator");
  return moderates && givenRank(home, user) < rank && wanted < rank;
}

/** Seqs of a log that a user sees. */
export function seenBy(log: ModelLog, user: string): readonly number[] {
  const { home } = log;
  const staff = rankOf(home, user) >= ladder.indexOf("moderator");
  let from = 0;
  const given = home.roles.get(user);
  const creator = given === undefined && user !== "" && home.creator === user;
  if (home.settings["fromJoin"] === true && !creator) {
    const joined = given === undefined || given.role === "none" ? Infinity : given.joined;
    from = log.root === 0 ? joined : log.root >= joined ? 0 : Infinity;
  }
  const sees = (entry: ModelEntry): boolean => {
    if (entry.seq < from) return false;
    if (entry.shown === "all" || entry.sender === user) return true;
    if (entry.shown === "own") return false;
    return staff || sanctionPattern.exec(entry.body)?.[1] === user;
  };
  return log.entries.filter(sees).map((entry) => entry.seq);
}

function keyOf(operation: ModelPost): string {
  const { tenant, room, sender, keyMs, keyTail } = operation;
  return JSON.stringify([tenant, room, sender, keyMs, keyTail]);
}

function answer(code: string): ModelResult {
  return { code, dup: false, seq: 0, timeUs: 0 };
}
