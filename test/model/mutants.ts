/** In this file, this text, which occurs exactly once, becomes that one. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A deliberate fault of the machine. */
export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** True when the machine must still agree with the model. */
  readonly harmless: boolean;
}

const applier = "replica/machine/applier.ts";
const rules = "replica/machine/rules.ts";
const keys = "replica/machine/key-table.ts";
const span = "replica/machine/key-span.ts";
const delta = "replica/machine/delta.ts";
const tables = "replica/machine/machine-tables.ts";
const standing = "replica/machine/standing.ts";
const retention = "replica/machine/retention.ts";
const byteMarks = "replica/machine/byte-marks.ts";
const sweeper = "replica/machine/sweeper.ts";
const compaction = "replica/snapshot/compaction.ts";
const writer = "replica/snapshot/checkpoint-writer.ts";
const merge = "replica/snapshot/merge.ts";
const visibility = "replica/wire/visibility.ts";

function mutant(name: string, file: string, from: string, to: string): Mutant {
  return { name, edits: [{ file, from, to }], harmless: false };
}

/** Keys of a room all have the same hash: the comparison with the stored entry must decide. */
const oneHash: Edit = {
  file: applier,
  from: "keyedHash(this.hash, keyHash0, keyHash1, room, bytes, keyAt, 16, senderAt, senderBytes);",
  to: "keyedHash(this.hash, keyHash0, keyHash1, room, bytes, keyAt, 0, senderAt, 0);",
};
const oneHashOnDisk: Edit = {
  file: delta,
  from: "keyedHash(this.hash, key0, key1, this.room, bytes, entry + 32, 16, senderAt, sender);",
  to: "keyedHash(this.hash, key0, key1, this.room, bytes, entry + 32, 0, senderAt, 0);",
};

/** Faults that the histories must find. */
export const mutants: readonly Mutant[] = [
  mutant("a key at the window's edge is too old", applier, "ahead < -state", "ahead <= -state"),
  mutant("a key may be a little farther ahead", applier, "ahead > keyA", "ahead - 1000 > keyA"),
  mutant("a parent may be one above the head", applier, "parent > head", "parent > head + 1"),
  mutant(
    "one key more than the maximum",
    applier,
    "keys.count >= state.keysMax) ",
    "keys.count > state.keysMax) ",
  ),
  mutant(
    "one room more than the maximum",
    applier,
    "if (rooms.count >= state.roomsMax) r",
    "if (rooms.count > state.roomsMax) r",
  ),
  mutant(
    "one thread more than the maximum",
    applier,
    "|| rooms.count >= state",
    "|| rooms.count > state",
  ),
  mutant("a tenant has one room too many", applier, "used >= most", "used > most"),
  mutant("rooms of a tenant are not counted", applier, "used + 1)", "used)"),
  mutant(
    "a retry is not recognised",
    applier,
    "if (this.answerIfKnown(room, cursor.seq)) return answered;",
    "void cursor;",
  ),
  { name: "all hashes are equal", edits: [oneHash, oneHashOnDisk], harmless: true },
  {
    name: "a retry's sender and key are not compared",
    edits: [
      oneHash,
      oneHashOnDisk,
      { file: applier, from: "if (!this.sameKey(stored)) return false;", to: "void stored;" },
    ],
    harmless: false,
  },
  mutant(
    "a retry's type is not compared",
    applier,
    "if (old[at + 1] !== reader.type) return false;",
    "",
  ),
  mutant(
    "a retry's parent is not compared",
    applier,
    "if (view.getUint32(24, true) !== reader.parent % 2 ** 32) return false;",
    "",
  ),
  mutant(
    "a retry's length is not compared",
    applier,
    "if (length !== head + entrySaltBytes + reader.bodyBytes) return false;",
    "",
  ),
  mutant(
    "a redacted body is compared",
    applier,
    "if (this.rules.cell(room, cellKinds.redacted, seq) > 0) return true;",
    "",
  ),
  mutant(
    "the key of a first answer is not remembered",
    applier,
    "keys.add(keyMs, room, 1, this.hash);",
    "",
  ),
  mutant(
    "a thread is not said in its room",
    applier,
    "this.commitPost(base, (page.head[at] ?? 0) + 1, rules.flags);",
    "",
  ),
  mutant(
    "a thread under anything",
    rules,
    "if (bytes[at + 1] !== message) return resultCodes.bad_target;",
    "",
  ),
  mutant(
    "a thread under a redacted message",
    rules,
    "if (this.cell(room, cellKinds.redacted, seq) > 0) return resultCodes.redacted;",
    "",
  ),
  mutant(
    "one thread more than the quota",
    rules,
    "this.cell(room, cellKinds.threads) >= most",
    "this.cell(room, cellKinds.threads) > most",
  ),
  mutant("a ban ends one microsecond late", rules, "if (until > state", "if (until >= state"),
  mutant("a ban is not looked at", rules, "return resultCodes.banned;", "void until;"),
  mutant(
    "a mute is not looked at",
    rules,
    "muted > state.timeUs ? resultCodes.muted : allowed",
    "muted > state.timeUs ? allowed : allowed",
  ),
  mutant(
    "a muted may edit",
    rules,
    "type !== message && type !== edit && type",
    "type !== message && type",
  ),
  mutant(
    "members may announce",
    rules,
    "announcing ? moderator : member",
    "announcing ? member : member",
  ),
  mutant(
    "moderators may change settings",
    rules,
    "if (type === settings) least = owner",
    "if (type === settings) least = moderator",
  ),
  mutant(
    "readers may post",
    rules,
    "announcing ? moderator : member",
    "announcing ? moderator : reader",
  ),
  mutant("a moderator may ban a moderator", rules, "theirs < role;", "theirs <= role;"),
  mutant("a moderator may make a moderator", rules, "wanted < role;", "wanted <= role;"),
  mutant("anybody may rise", rules, "return wanted <= role;", "return wanted <= role + 1;"),
  mutant(
    "a closed room is open",
    rules,
    "settingBits.closed) === 0 ? member : none",
    "settingBits.closed) === 0 ? member : member",
  ),
  mutant("the creator is nobody", rules, "length) ? owner : none", "length) ? none : none"),
  mutant(
    "a marker may stay",
    rules,
    "parent > this.markerOf(room)",
    "parent >= this.markerOf(room)",
  ),
  mutant("others' messages may be edited", rules, "if (!own) return resultCodes.denied;", ""),
  mutant(
    "redaction by anybody",
    rules,
    "own || this.role >= moderator || this",
    "own || this.role >= member || this",
  ),
  mutant(
    "a redacted message can be edited",
    rules,
    "if (this.cell(room, cellKinds.redacted, parent) > 0) return resultCodes.redacted;",
    "",
  ),
  mutant(
    "reactions to anything",
    rules,
    "kind !== message && (type",
    "kind !== message && type !== react && (type",
  ),
  mutant("edits survive their message", rules, "while (at > 0) {", "while (at < 0) {"),
  mutant(
    "an edit forgets the one before",
    rules,
    "if (last > 0) this.set",
    "if (last < 0) this.set",
  ),
  mutant(
    "one member more than the quota",
    rules,
    "this.cell(base, cellKinds.members) >= most",
    "this.cell(base, cellKinds.members) > most",
  ),
  mutant(
    "a tenant's quota of members does not count",
    rules,
    "own > 0 ? own : this.tenantCell(cellKinds.quotaMembers)",
    "own",
  ),
  mutant("members are not counted", rules, "Number(role > none) - Number(before % 8 > 1)", "0"),
  mutant("a second entry of a second too many", rules, "used(value) >= Math", "used(value) > Math"),
  mutant(
    "the second never ends",
    rules,
    "=== second ? value % rateShift : 0",
    "=== second ? value % rateShift : value % rateShift",
  ),
  mutant(
    "the tenant's entries are not counted",
    rules,
    "this.setTenantCell(cellKinds.rate, counted(this.tenantCell(cellKinds.rate)));",
    "",
  ),
  mutant(
    "an older configuration wins",
    rules,
    "if (version < current) return resultCodes.stale;",
    "",
  ),
  mutant(
    "a configuration may change under its version",
    rules,
    "return equal ? resultCodes.room_exists : resultCodes.key_mismatch;",
    "return equal ? resultCodes.room_exists : resultCodes.room_exists;",
  ),
  mutant(
    "any two share a room for two",
    rules,
    "low === member && high === member && count",
    "count",
  ),
  mutant("a room for two takes rules", rules, "!inThread && !pair && this", "!inThread && this"),
  mutant(
    "who rejoins keeps the first joining",
    rules,
    "was ? Math.floor(before / 8) : seq",
    "before > 0 ? Math.floor(before / 8) : seq",
  ),
  mutant(
    "keys of a generation are forgotten early",
    keys,
    "if (number >= floor) continue;",
    "if (number > floor) continue;",
  ),
  mutant("runs of keys are not looked at", span, "part - 2 < this.runs.length", "part - 2 < 0"),
  mutant(
    "keys are lost on their way into a run",
    span,
    "this.sealing = this.loose;",
    "this.sealing = new LooseKeys();",
  ),
  {
    name: "a run's first candidate is the only one",
    edits: [
      oneHash,
      oneHashOnDisk,
      { file: span, from: "cursor.slot = at + 1;", to: "cursor.slot = 2 ** 30;" },
    ],
    harmless: false,
  },
  mutant("keys are never forgotten", keys, "this.total -= generation.count;", ""),
  mutant(
    "the last key before a checkpoint is lost",
    delta,
    "this.seqLast = store.seqAt(newest);",
    'this.seqLast = store.seqAt(newest) - Number(this.section === "keys");',
  ),
  mutant("cells are not checkpointed", delta, ": this.fillCells(block, view, used)", ": used"),
  mutant(
    "that a thread began counts as a key",
    delta,
    "&& bytes[entry + 1] !== entryTypes.thread",
    "",
  ),
  mutant("settings are invisible to messages", tables, "    cellKinds.settings,\n", ""),
  mutant("mutes are invisible to messages", tables, "    cellKinds.mute,\n", ""),
  mutant(
    "a tenant's rate is forgotten",
    tables,
    "this.tenantRates += Number(value > 0)",
    "this.tenantRates += 0 * Number(value > 0)",
  ),
  mutant("a moderator sees no more", standing, '|| role === "owner"', ""),
  mutant(
    "who joined late sees all",
    standing,
    "joined = given > 0 ? Math.floor(cell / 8) : Number.MAX_SAFE_INTEGER;",
    "",
  ),
  mutant(
    "a ban is seen by all",
    visibility,
    "return decodeSanction(",
    "return true || decodeSanction(",
  ),
  mutant(
    "skips swallow an entry",
    visibility,
    "if (isVisible(bytes, viewer)) items",
    "if (isVisible(bytes, viewer) && seq !== 2) items",
  ),
  mutant(
    "a trim takes keys that a retry could use",
    retention,
    "if (ageUs <= state.keyWindowUs + keyAheadMaxUs) return resultCodes.not_due;",
    "",
  ),
  mutant("a trim ignores a hold", retention, "if (rules.holds(base)) return resultCodes.held;", ""),
  mutant("a redaction ignores a hold", rules, "if (this.holds(base)) return resultCodes.held;", ""),
  mutant("a tenant's hold does not count", rules, " || this.tenantCell(cellKinds.hold) > 0", ""),
  mutant("one entry too few is kept", retention, "floor + 1 >= entries", "floor + 2 >= entries"),
  mutant(
    "a tenant's retention does not count",
    retention,
    "return own > 0 ? own : this.rules.tenantCell(kind);",
    "return own;",
  ),
  mutant(
    "what is gone can be edited",
    rules,
    "if (parent < floorOf(this.tables, room)) return resultCodes.gone;",
    "",
  ),
  mutant(
    "a thread under what is gone",
    rules,
    "if (seq < floorOf(this.tables, room)) return resultCodes.gone;",
    "",
  ),
  mutant(
    "a sweep leaves redacted bodies",
    sweeper,
    "return redactEntry(entry, this.hash);",
    "return entry;",
  ),
  mutant(
    "a sweep looks at floors of now",
    sweeper,
    "return get(cellKinds.floorSweep) === sweep ? get(cellKinds.floorBefore) : floor;",
    "return floor + 0 * get(sweep);",
  ),
  mutant(
    "a sweep leaves what is below the floor",
    sweeper,
    "if (seqFirst < this.floor(room)) return true;",
    "",
  ),
  mutant(
    "a sweep takes redactions of now",
    sweeper,
    "return timeUs > 0 && timeUs <= cells.get(tenantScope, cellKinds.sweepUs, 0, empty, 0, 0);",
    "return timeUs > 0;",
  ),
  mutant("nothing is marked", writer, "if (hit) active.marks.add(id);", "void hit;"),
  mutant(
    "what a delta redacts of itself is not marked",
    writer,
    "if (active.marked) for (const { id } of entries) marks.add(id);",
    "",
  ),
  mutant(
    "a merge forgets a mark",
    compaction,
    "(marked ? { ...segment, marked } : segment)",
    "segment",
  ),
  mutant(
    "a merge keeps an older value of a cell",
    merge,
    "if (order === 0) least?.advance();",
    "if (order === 0) { cursor.advance(); continue; }",
  ),
  mutant(
    "too few bytes are kept",
    byteMarks,
    "total - before >= limit",
    "total - before + 70 >= limit",
  ),
  mutant(
    "marks are not where bytes were counted",
    byteMarks,
    "mark % marksMax, seq)",
    "mark % marksMax, seq + 1)",
  ),
  mutant("the count begins anew", byteMarks, "if (total === 0) this.set", "this.set"),
];
