// What authors of the simulation do, rooms and plain messages, written again with plain objects and
// without the machine's code. The whole machine has its own model in test/model.

/** A post or a room's creation as the reference sees it. */
export type ReferenceOperation =
  | { readonly kind: "create_room"; readonly room: string }
  | {
      readonly kind: "post";
      readonly room: string;
      readonly sender: string;
      readonly keyMs: number;
      readonly keyTail: number;
      readonly type: string;
      readonly parent: number;
      readonly body: string;
    };

/** What the reference answers. */
export interface ReferenceResult {
  readonly code: string;
  readonly dup: boolean;
  readonly seq: number;
  readonly timeUs: number;
}

/** An entry that is committed. */
export interface ReferenceEntry {
  readonly seq: number;
  readonly timeUs: number;
  readonly sender: string;
  readonly type: string;
  readonly parent: number;
  readonly body: string;
}

interface Remembered {
  readonly keyMs: number;
  readonly entry: ReferenceEntry;
}

const hourUs = 3_600_000_000;
const aheadMaxUs = 300_000_000;
/** Remembered keys count until the last key of their span of 2^20 ms is too old. */
const spanMs = 1_048_576;

/** One shard's rooms. */
export class Reference {
  readonly rooms = new Map<string, ReferenceEntry[]>();
  private keys = new Map<string, Remembered>();
  private timeUs = 0;
  private readonly windowUs: number;
  private readonly keysMax: number;
  private readonly roomsMax: number;

  constructor(options: { windowHours: number; keysMax: number; roomsMax: number }) {
    this.windowUs = options.windowHours * hourUs;
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
  apply(operation: ReferenceOperation): ReferenceResult {
    const { room } = operation;
    const entries = this.rooms.get(room);
    if (operation.kind === "create_room") {
      if (entries !== undefined) return { ...answer("room_exists"), seq: entries.length };
      if (this.rooms.size >= this.roomsMax) return answer("busy");
      this.rooms.set(room, []);
      return answer("ok");
    }
    if (entries === undefined) return answer("no_room");
    if (operation.type !== "message") return answer("bad_operation");
    if (operation.parent > entries.length) return answer("bad_operation");
    if (operation.keyMs * 1000 < this.timeUs - this.windowUs) return answer("key_too_old");
    if (operation.keyMs * 1000 > this.timeUs + aheadMaxUs) return answer("key_in_future");
    const { sender, keyMs, keyTail, type, parent, body } = operation;
    const key = JSON.stringify([room, sender, keyMs, keyTail]);
    const known = this.keys.get(key)?.entry;
    if (known !== undefined) {
      const same = known.type === type && known.parent === parent && known.body === body;
      if (!same) return answer("key_mismatch");
      return { code: "ok", dup: true, seq: known.seq, timeUs: known.timeUs };
    }
    if (this.keys.size >= this.keysMax) return answer("busy");
    const seq = entries.length + 1;
    const entry = { seq, timeUs: this.timeUs, sender, type, parent, body };
    entries.push(entry);
    this.keys.set(key, { keyMs, entry });
    return { code: "ok", dup: false, seq, timeUs: this.timeUs };
  }
}

function answer(code: string): ReferenceResult {
  return { code, dup: false, seq: 0, timeUs: 0 };
}
