// The machine's rules written again with plain objects and strings, without the machine's code:
// slow, obvious, and the judge of random histories.

/** A post or a room's creation as the model sees it. */
export type ModelOperation =
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
}

interface Remembered {
  readonly keyMs: number;
  readonly entry: ModelEntry;
}

const hourUs = 3_600_000_000;
const aheadMaxUs = 300_000_000;
/** Remembered keys count until the last key of their span of 2^20 ms is too old. */
const spanMs = 1_048_576;

/** One shard's rooms. */
export class MachineModel {
  readonly rooms = new Map<string, ModelEntry[]>();
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
  apply(operation: ModelOperation): ModelResult {
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

function answer(code: string): ModelResult {
  return { code, dup: false, seq: 0, timeUs: 0 };
}
