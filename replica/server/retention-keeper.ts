import type { ChatMachine } from "#replica/machine/chat-machine.ts";
import type { LoadedBlock } from "#replica/machine/port.ts";
import type { RetentionView } from "#replica/machine/retention.ts";
import type { BlockAddress } from "#replica/snapshot/port.ts";
import { seqFrom } from "#replica/base/brands.ts";
import { utf8From } from "#replica/base/text.ts";
import { entryPrefixBytes, entryTimeAt } from "#replica/wire/entry.ts";
import { appendTrim, configureBytes } from "#replica/wire/room-operation.ts";

/** Between two looks, ms, and rooms of one look: some hundred microseconds; only a pace. */
const lookMs = 1_000;
const lookRooms = 1_000;
/** Rooms trimmed by one request at most. */
const trimsMax = 64;

/** What a keeper needs of its replica. */
export interface RetentionPorts {
  readonly machine: Pick<ChatMachine, "retention" | "read">;
  /** Between two rounds through all rooms, ms, at least. */
  readonly roundMs: number;
  /** True while this replica is the primary. */
  readonly leads: () => boolean;
  /** Blocks of state; null = they were merged away meanwhile. */
  readonly load: (
    addresses: readonly BlockAddress[],
    done: (blocks: readonly Uint8Array[] | null) => void,
  ) => void;
  /** Operations for the log; false = not now. `done`: how many were carried out. */
  readonly submit: (
    operations: Uint8Array,
    count: number,
    done: (carried: number) => void,
  ) => boolean;
  readonly trimmed: (rooms: number) => void;
}

/**
 * Looks through the rooms of a primary, some each second, for entries that their retention lets
 * go, and asks for trims. What is asked for is judged by the machine: a wrong wish is refused.
 */
export class RetentionKeeper {
  private readonly ports: RetentionPorts;
  private timer: NodeJS.Timeout | null = null;
  private next = 0;
  private restUntilMs = 0;
  private busy = false;

  constructor(ports: RetentionPorts) {
    this.ports = ports;
  }

  /** Begins to look. */
  start(): void {
    this.timer = setInterval(() => this.tick(), lookMs);
    this.timer.unref();
  }

  /** Looks no more. */
  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  private tick(): void {
    if (this.busy || !this.ports.leads() || performance.now() < this.restUntilMs) return;
    this.busy = true;
    this.look(Date.now() * 1000)
      .catch(() => undefined)
      .finally(() => {
        this.busy = false;
      });
  }

  /** One look at `nowUs`, by the wall clock; true when a round ended with it. */
  async look(nowUs: number): Promise<boolean> {
    const { machine } = this.ports;
    const trims: { readonly view: RetentionView; readonly floor: number }[] = [];
    for (let left = lookRooms; left > 0 && trims.length < trimsMax; left -= 1) {
      const view = machine.retention(this.next);
      if (view === undefined) {
        this.next = 0;
        this.restUntilMs = performance.now() + this.ports.roundMs;
        this.submit(trims);
        return true;
      }
      this.next += 1;
      if (view === null) continue;
      const floor = await this.floorFor(view, nowUs);
      if (floor > view.floor) trims.push({ view, floor });
    }
    this.submit(trims);
    return false;
  }

  private submit(trims: readonly { readonly view: RetentionView; readonly floor: number }[]): void {
    if (trims.length === 0) return;
    const fields = trims.map(({ view: { name }, floor }) => {
      const by = utf8From("retention");
      return { tenant: utf8From(name.tenant), room: utf8From(name.room), by, floor };
    });
    let bytes = 0;
    for (const one of fields) bytes += configureBytes(one);
    const operations = new Uint8Array(bytes);
    const view = new DataView(operations.buffer);
    let offset = 0;
    for (const one of fields) offset = appendTrim(view, operations, offset, one);
    this.ports.submit(operations, fields.length, (carried) => this.ports.trimmed(carried));
  }

  /** Floor that the retention of a room allows now; its own when nothing is to be let go. */
  private async floorFor(view: RetentionView, nowUs: number): Promise<number> {
    const { ageUs, leastUs, entries, bytesFloor, head } = view;
    const byAge = ageUs === Number.POSITIVE_INFINITY ? 0 : Math.max(ageUs, leastUs);
    const floorByAge = byAge === 0 ? view.floor : await this.firstSince(view, nowUs - byAge);
    const wanted = Math.min(head, Math.max(head - entries + 1, bytesFloor));
    if (wanted <= floorByAge) return floorByAge;
    const free = await this.firstSince(view, nowUs - leastUs);
    return Math.max(floorByAge, Math.min(wanted, free));
  }

  /** Seq of the first entry of a room whose log time is not below `sinceUs`, at most its head. */
  private async firstSince(view: RetentionView, sinceUs: number): Promise<number> {
    let low = view.floor;
    let high = view.head;
    if ((await this.timeOf(view, low)) >= sinceUs) return low;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((await this.timeOf(view, middle)) < sinceUs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Log time of an entry; Infinity when it cannot be read now. */
  private async timeOf({ name }: RetentionView, seq: number): Promise<number> {
    const range = { kind: "after" as const, seq: seqFrom(seq - 1), limit: 1 };
    const loaded: LoadedBlock[] = [];
    for (;;) {
      const step = this.ports.machine.read(name, range, loaded);
      if (step.kind === "answer") {
        const { entries } = step;
        if (entries.length === 0) return Number.POSITIVE_INFINITY;
        const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
        return entryTimeAt(view, entryPrefixBytes);
      }
      const { addresses } = step;
      const blocks = await new Promise<readonly Uint8Array[] | null>((done) => {
        this.ports.load(addresses, done);
      });
      if (blocks === null) return Number.POSITIVE_INFINITY;
      blocks.forEach((bytes, i) => {
        const address = addresses[i];
        if (address !== undefined) loaded.push({ address, bytes });
      });
    }
  }
}
