import { assert } from "#replica/base/assert.ts";
import { utf8From } from "#replica/base/text.ts";
import { entryFixedBytes, entryTypes } from "#replica/wire/entry.ts";
import { entryFlagAuthority, entryFlagOwn, entryFlagStaff } from "#replica/wire/entry.ts";
import type { MemberBody, SanctionBody } from "#replica/wire/entry-body.ts";
import { decodeMember, decodeSanction, decodeSettings } from "#replica/wire/entry-body.ts";
import { isReaction, roles, ruleBodyBytesMax } from "#replica/wire/entry-body.ts";
import type { OperationReader, Quotas } from "#replica/wire/operation.ts";
import { operationKinds, resultCodes } from "#replica/wire/operation.ts";
import { cellKinds, cellsMax, tenantScope } from "./cell-table.ts";
import type { MachineTables } from "./machine-tables.ts";
import type { Originals } from "./originals.ts";
import { floorOf, retentionVersion } from "./retention.ts";

/** Edits of one message at most. */
export const editsMax = 50;
/** Cells that one operation may add at most. */
export const cellsPerOperation = editsMax + 8;

/** Bits of a room's settings. */
export const settingBits = {
  closed: 1,
  readonly: 2,
  fromJoin: 4,
  privateMarkers: 8,
  /** The room of two people: who is in it never changes. */
  pair: 16,
} as const;

const [none, reader, member, moderator, owner] = [0, 1, 2, 3, 4] as const;
const allowed = 0;
const empty = new Uint8Array(0);
const rateShift = 2 ** 20;
/** Entries of one second that a counter holds. */
const rateMax = rateShift - 1;

const { message, edit, redact, react, marker, settings, unreact } = entryTypes;

/**
 * Who may post what, and what it changes besides the log. Judges one operation at a time; what it
 * found out is in its fields until the next one.
 */
export class Rules {
  /** Flags of the entry that was judged last. */
  flags = 0;
  private readonly tables: MachineTables;
  private readonly reader: OperationReader;
  private readonly originals: Originals;
  private bytes: Uint8Array = empty;
  private body: MemberBody | SanctionBody | null = null;
  private user: Uint8Array = empty;
  private settings = 0;
  private role = none as number;

  constructor(tables: MachineTables, reader: OperationReader, originals: Originals) {
    this.tables = tables;
    this.reader = reader;
    this.originals = originals;
  }

  /** The bytes that the reader reads. */
  open(bytes: Uint8Array): void {
    this.bytes = bytes;
  }

  /** A code that refuses the post, or 0. `base`: the room whose rules hold, a thread's room. */
  judge(room: number, base: number): number {
    const { tables, reader: operation } = this;
    this.settings = this.cell(base, cellKinds.settings);
    const malformed = this.judgeBody(room !== base);
    if (malformed !== allowed) return malformed;
    if (tables.cells.count + cellsPerOperation > cellsMax) return resultCodes.busy;
    this.role = this.roleOf(base, this.bytes, operation.senderAt, operation.senderBytes);
    const refused = operation.authority === 1 ? allowed : this.judgeSender(base);
    if (refused !== allowed) return refused;
    const target = this.judgeTarget(room, base);
    if (target !== allowed) return target;
    if (operation.type === entryTypes.member && this.lacksMembers(base)) return resultCodes.quota;
    return this.judgeRate(base);
  }

  private judgeBody(inThread: boolean): number {
    const { bodyAt, bodyBytes, type, parent, authority } = this.reader;
    this.flags = authority === 1 ? entryFlagAuthority : 0;
    this.body = null;
    if (type === message) return allowed;
    if (type === entryTypes.thread) return resultCodes.bad_operation;
    const body = this.bytes.subarray(bodyAt, bodyAt + bodyBytes);
    let fits = parent > 0;
    if (type === react || type === unreact) fits = fits && isReaction(body);
    else if (type === redact) fits = fits && bodyBytes <= ruleBodyBytesMax;
    else if (type === marker) {
      fits = fits && bodyBytes === 0;
      if ((this.settings & settingBits.privateMarkers) !== 0) this.flags |= entryFlagOwn;
    } else if (type !== edit) {
      const pair = (this.settings & settingBits.pair) !== 0;
      fits = parent === 0 && !inThread && !pair && this.readRuleBody(body);
    }
    return fits ? allowed : resultCodes.bad_operation;
  }

  private readRuleBody(body: Uint8Array): boolean {
    const { type } = this.reader;
    if (type === settings) return decodeSettings(body) !== null;
    this.body = type === entryTypes.member ? decodeMember(body) : decodeSanction(body);
    if (this.body === null) return false;
    if (type !== entryTypes.member) this.flags |= entryFlagStaff;
    this.user = utf8From(this.body.user);
    return true;
  }

  private judgeSender(base: number): number {
    const { type, senderAt, senderBytes } = this.reader;
    const { cells, state } = this.tables;
    const { bytes, role } = this;
    const until = cells.get(base, cellKinds.ban, 0, bytes, senderAt, senderBytes);
    if (until > state.timeUs) return resultCodes.banned;
    const announcing = type === message && (this.settings & settingBits.readonly) !== 0;
    let least: number = announcing ? moderator : member;
    if (type === marker || type === redact) least = reader;
    if (type === settings) least = owner;
    if (this.body !== null) least = none;
    if (role < least) return resultCodes.denied;
    if (this.body !== null && !this.mayJudge(base, this.body)) return resultCodes.denied;
    if (type !== message && type !== edit && type !== react && type !== unreact) return allowed;
    const muted = cells.get(base, cellKinds.mute, 0, bytes, senderAt, senderBytes);
    return muted > state.timeUs ? resultCodes.muted : allowed;
  }

  /** May the sender give this role, or ban or mute this user? */
  private mayJudge(base: number, body: MemberBody | SanctionBody): boolean {
    const { role, user } = this;
    const theirs = this.givenRole(base, user, 0, user.length);
    if (!("role" in body)) return role >= moderator && theirs < role;
    const wanted = roles.indexOf(body.role);
    if (this.isSender(user, 0, user.length)) return wanted <= role;
    if (role === owner) return true;
    return role >= moderator && theirs < role && wanted < role;
  }

  private judgeTarget(room: number, base: number): number {
    const { type, parent } = this.reader;
    if (type === marker) {
      return parent > this.markerOf(room) ? allowed : resultCodes.stale;
    }
    if (type !== edit && type !== redact && type !== react && type !== unreact) return allowed;
    if (parent < floorOf(this.tables, room)) return resultCodes.gone;
    const { bytes, at } = this.originals.find(room, parent);
    const kind = bytes[at + 1] ?? 0;
    if (kind !== message && (type !== redact || kind !== edit)) return resultCodes.bad_target;
    if (this.cell(room, cellKinds.redacted, parent) > 0) return resultCodes.redacted;
    const own = this.isSender(bytes, at + entryFixedBytes, bytes[at + 2] ?? 0);
    if (type === redact) {
      if (this.holds(base)) return resultCodes.held;
      const may = own || this.role >= moderator || this.reader.authority === 1;
      return may ? allowed : resultCodes.denied;
    }
    if (type !== edit) return allowed;
    if (!own) return resultCodes.denied;
    return this.cell(room, cellKinds.edits, parent) % 64 < editsMax ? allowed : resultCodes.quota;
  }

  /** True when entry `seq` of a room can be the root of a thread; else the code that says why. */
  judgeRoot(room: number, seq: number): number {
    if (seq < floorOf(this.tables, room)) return resultCodes.gone;
    const { bytes, at } = this.originals.find(room, seq);
    if (bytes[at + 1] !== message) return resultCodes.bad_target;
    if (this.cell(room, cellKinds.redacted, seq) > 0) return resultCodes.redacted;
    const most = this.cell(room, cellKinds.quotaRooms);
    const full = most > 0 && this.cell(room, cellKinds.threads) >= most;
    return full ? resultCodes.quota : allowed;
  }

  private lacksMembers(base: number): boolean {
    const { body, user } = this;
    if (body === null || !("role" in body) || body.role === "none") return false;
    const before = this.tables.cells.get(base, cellKinds.role, 0, user, 0, user.length);
    if (before % 8 > 1) return false;
    const own = this.cell(base, cellKinds.quotaMembers);
    const most = own > 0 ? own : this.tenantCell(cellKinds.quotaMembers);
    return most > 0 && this.cell(base, cellKinds.members) >= most;
  }

  private judgeRate(base: number): number {
    const second = Math.floor(this.tables.state.timeUs / 1_000_000);
    const used = (value: number): number =>
      Math.floor(value / rateShift) === second ? value % rateShift : 0;
    const over = (most: number, value: number): boolean =>
      most > 0 && used(value) >= Math.min(most, rateMax);
    if (over(this.cell(base, cellKinds.quotaRate), this.cell(base, cellKinds.rate))) {
      return resultCodes.rate_limited;
    }
    if (this.tables.tenantRates === 0) return allowed;
    const full = over(this.tenantCell(cellKinds.quotaRate), this.tenantCell(cellKinds.rate));
    return full ? resultCodes.rate_limited : allowed;
  }

  /** The post that was judged is entry `seq` now: what follows from it. */
  commit(room: number, base: number, seq: number): void {
    const { type, parent } = this.reader;
    const { body, user } = this;
    this.countRate(base);
    if (type === marker) {
      const { senderAt, senderBytes } = this.reader;
      this.set(room, cellKinds.marker, 0, this.bytes, senderAt, senderBytes, parent);
    } else if (type === settings) {
      const { bodyAt, bodyBytes } = this.reader;
      const decoded = decodeSettings(this.bytes.subarray(bodyAt, bodyAt + bodyBytes));
      assert(decoded !== null, "MCH-15: a body is judged before it is committed");
      let bits = decoded.closed ? settingBits.closed : 0;
      if (decoded.readonly) bits |= settingBits.readonly;
      if (decoded.fromJoin) bits |= settingBits.fromJoin;
      if (decoded.privateMarkers) bits |= settingBits.privateMarkers;
      this.set(base, cellKinds.settings, 0, empty, 0, 0, bits);
    } else if (type === edit) this.commitEdit(room, seq);
    else if (type === redact) this.commitRedact(room, seq);
    else if (body !== null && "role" in body) this.commitRole(base, roles.indexOf(body.role), seq);
    else if (body !== null) {
      const kind = type === entryTypes.ban ? cellKinds.ban : cellKinds.mute;
      this.set(base, kind, 0, user, 0, user.length, body.until);
    }
  }

  private commitRole(base: number, role: number, seq: number): void {
    const { user } = this;
    const before = this.tables.cells.get(base, cellKinds.role, 0, user, 0, user.length);
    const was = before % 8 > 1;
    const joined = was ? Math.floor(before / 8) : seq;
    this.giveRole(base, user, role, joined);
  }

  /** Writes a role and counts the people who have one. */
  giveRole(base: number, user: Uint8Array, role: number, joined: number): void {
    const value = joined * 8 + role + 1;
    const before = this.set(base, cellKinds.role, 0, user, 0, user.length, value);
    const change = Number(role > none) - Number(before % 8 > 1);
    if (change === 0) return;
    const count = this.cell(base, cellKinds.members) + change;
    this.set(base, cellKinds.members, 0, empty, 0, 0, count);
  }

  /** The room that was made is for the two people of the operation alone. */
  makePair(room: number): void {
    const { senderAt, senderBytes, otherAt, otherBytes } = this.reader;
    this.setCell(room, cellKinds.settings, settingBits.closed | settingBits.pair);
    for (const user of [
      this.bytes.slice(senderAt, senderAt + senderBytes),
      this.bytes.slice(otherAt, otherAt + otherBytes),
    ]) {
      this.giveRole(room, user, member, 0);
    }
  }

  /** True when the room is that of the two people of the operation. */
  isPair(room: number): boolean {
    if ((this.cell(room, cellKinds.settings) & settingBits.pair) === 0) return false;
    if (this.reader.kind !== operationKinds.create_dm) return true;
    const { senderAt, senderBytes, otherAt, otherBytes } = this.reader;
    const low = this.givenRole(room, this.bytes, senderAt, senderBytes);
    const high = this.givenRole(room, this.bytes, otherAt, otherBytes);
    const alone = this.isSender(this.bytes, otherAt, otherBytes);
    const count = this.cell(room, cellKinds.members);
    return low === member && high === member && count === (alone ? 1 : 2);
  }

  /** Sets quotas: ok, room_exists for the same once more, or a refusal. */
  configure(scope: number, version: number, quotas: Quotas): number {
    const get = (kind: number): number =>
      scope === tenantScope ? this.tenantCell(kind) : this.cell(scope, kind);
    const wanted = [
      [cellKinds.quotaRooms, quotas.rooms],
      [cellKinds.quotaMembers, quotas.members],
      [cellKinds.quotaRate, quotas.entriesPerSecond],
    ] as const;
    const current = get(cellKinds.quotaVersion);
    if (version < current) return resultCodes.stale;
    if (version === current) {
      const equal = wanted.every(([kind, value]) => get(kind) === value);
      return equal ? resultCodes.room_exists : resultCodes.key_mismatch;
    }
    for (const [kind, value] of [...wanted, [cellKinds.quotaVersion, version] as const]) {
      if (scope === tenantScope) this.setTenantCell(kind, value);
      else this.setCell(scope, kind, value);
    }
    return resultCodes.ok;
  }

  private commitEdit(room: number, seq: number): void {
    const { parent } = this.reader;
    const before = this.cell(room, cellKinds.edits, parent);
    const value = seq * 64 + (before % 64) + 1;
    this.set(room, cellKinds.edits, parent, empty, 0, 0, value);
    const last = Math.floor(before / 64);
    if (last > 0) this.set(room, cellKinds.edit, seq, empty, 0, 0, last);
  }

  /** A redacted message takes its edits with it: they hold its text too. */
  private commitRedact(room: number, seq: number): void {
    const { parent } = this.reader;
    const { state } = this.tables;
    const mark = state.version < retentionVersion ? seq : state.timeUs;
    this.set(room, cellKinds.redacted, parent, empty, 0, 0, mark);
    let at = Math.floor(this.cell(room, cellKinds.edits, parent) / 64);
    while (at > 0) {
      if (this.cell(room, cellKinds.redacted, at) === 0) {
        this.set(room, cellKinds.redacted, at, empty, 0, 0, mark);
      }
      at = this.cell(room, cellKinds.edit, at);
    }
  }

  private countRate(base: number): void {
    const second = Math.floor(this.tables.state.timeUs / 1_000_000);
    const counted = (value: number): number =>
      Math.floor(value / rateShift) === second ? value + 1 : second * rateShift + 1;
    if (this.cell(base, cellKinds.quotaRate) > 0) {
      const value = counted(this.cell(base, cellKinds.rate));
      this.set(base, cellKinds.rate, 0, empty, 0, 0, value);
    }
    if (this.tables.tenantRates === 0 || this.tenantCell(cellKinds.quotaRate) === 0) return;
    this.setTenantCell(cellKinds.rate, counted(this.tenantCell(cellKinds.rate)));
  }

  /** Role given to a user, by an entry or by creating the room. */
  private givenRole(base: number, bytes: Uint8Array, at: number, length: number): number {
    const { rooms, cells } = this.tables;
    const value = cells.get(base, cellKinds.role, 0, bytes, at, length);
    if (value > 0) return (value % 8) - 1;
    return rooms.isCreator(base, bytes, at, length) ? owner : none;
  }

  /** In an open room everybody counts as a member. */
  private roleOf(base: number, bytes: Uint8Array, at: number, length: number): number {
    const given = this.givenRole(base, bytes, at, length);
    if (given > none) return given;
    return (this.settings & settingBits.closed) === 0 ? member : none;
  }

  private markerOf(room: number): number {
    const { senderAt, senderBytes } = this.reader;
    const { cells } = this.tables;
    return cells.get(room, cellKinds.marker, 0, this.bytes, senderAt, senderBytes);
  }

  private isSender(bytes: Uint8Array, at: number, length: number): boolean {
    const { senderAt, senderBytes } = this.reader;
    if (length !== senderBytes) return false;
    for (let i = 0; i < length; i += 1) {
      if (bytes[at + i] !== this.bytes[senderAt + i]) return false;
    }
    return true;
  }

  /** True when a legal hold lies on a room or on its tenant. */
  holds(base: number): boolean {
    return this.cell(base, cellKinds.hold) > 0 || this.tenantCell(cellKinds.hold) > 0;
  }

  /** A cell of a room without subject. */
  cell(room: number, kind: number, number = 0): number {
    return this.tables.cells.get(room, kind, number, empty, 0, 0);
  }

  /** A cell of the operation's tenant. */
  tenantCell(kind: number): number {
    const { tenantAt, tenantBytes } = this.reader;
    return this.tables.cells.get(tenantScope, kind, 0, this.bytes, tenantAt, tenantBytes);
  }

  /** Sets a cell of the operation's tenant. */
  setTenantCell(kind: number, value: number): void {
    const { tenantAt, tenantBytes } = this.reader;
    this.set(tenantScope, kind, 0, this.bytes, tenantAt, tenantBytes, value);
  }

  /** Sets a cell of a room without subject. */
  setCell(room: number, kind: number, value: number): void {
    this.set(room, kind, 0, empty, 0, 0, value);
  }

  private set(
    room: number,
    kind: number,
    number: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    value: number,
  ): number {
    return this.tables.setCell(room, kind, number, bytes, at, length, value);
  }
}
