// Plays a history on the machine, on a twin with other options, and on the model, and compares.
import assert from "node:assert/strict";
import { seqFrom } from "#replica/base/brands.ts";
import { textFromUtf8 } from "#replica/base/text.ts";
import { decodeEntry, splitEntries } from "#replica/wire/entry.ts";
import { readResult } from "#replica/wire/operation.ts";
import { viewItems } from "#replica/wire/visibility.ts";
import { HistoryBlockReader } from "#replica/wire/history-block.ts";
import { SegmentHead } from "#replica/snapshot/segment-index.ts";
import { manifestOf, MemoryShard } from "#test/support/memory-shard.ts";
import { prepareOf, requestOf } from "#test/support/prepares.ts";
import type { Happening } from "./histories.ts";
import { toMachine, toModel, users } from "./histories.ts";
import type { ModelLog, ModelPost } from "./machine-model.ts";
import { MachineModel, seenBy } from "./machine-model.ts";

const startMs = 1_800_000_000_000;
const rules = { windowHours: 24, keysMax: 50, roomsMax: 8 };
const genesis = {
  version: 2,
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: rules.windowHours, max: rules.keysMax },
  roomsMax: rules.roomsMax,
  seed: Uint8Array.from({ length: 16 }, (_, i) => i),
};

/** What happened how often, by name. */
export type Seen = Map<string, number>;

function readAll(shard: MemoryShard, name: string, floor: number, limit: number): Uint8Array[] {
  const [tenant = "", room = ""] = name.split(" ");
  const all: Uint8Array[] = [];
  for (;;) {
    const from = all.length === 0 ? 0 : floor - 1 + all.length;
    const range = { kind: "after" as const, seq: seqFrom(from), limit };
    const { answer, entries } = shard.read({ tenant, room }, range);
    assert.ok(answer.code === "ok");
    assert.equal(Math.max(1, answer.floor), floor);
    const parts = splitEntries(entries, 200);
    assert.ok(parts);
    if (parts.length === 0) return all;
    all.push(...parts);
  }
}

function compareLog(shard: MemoryShard, name: string, log: ModelLog): void {
  const { floor } = log;
  const entries = readAll(shard, name, floor, 7);
  const shown = entries.map((bytes) => {
    const decoded = decodeEntry(bytes);
    assert.ok(decoded.ok);
    const { seq, timeUs, sender, type, parent, redacted, authority, visibility } = decoded.value;
    const body = redacted ? "" : textFromUtf8(decoded.value.body);
    const about = { authority: authority === true, shown: visibility ?? "all", redacted };
    return { seq, timeUs, sender, type, parent, body, ...about };
  });
  const wanted = log.entries
    .slice(floor - 1)
    .map((one) => ({ ...one, body: one.redacted ? "" : one.body }));
  assert.deepEqual(shown, wanted);
  const [tenant = "", room = ""] = name.split(" ");
  for (const user of users) {
    const standing = shard.machine.standing({ tenant, room }, user);
    assert.ok(standing);
    assert.equal(standing.marker, log.markers.get(user) ?? 0);
    const items = viewItems(entries, standing.viewer);
    const seen = items.filter((item) => item.kind === "entry").map((item) => item.seq);
    const sees = seenBy(log, user).filter((seq) => seq >= floor);
    assert.deepEqual(seen, sees, `${user} in ${name}`);
    let at = floor - 1;
    for (const item of items) {
      if (item.kind === "entry") assert.equal(item.seq, at + 1, "dense but for skips");
      else assert.ok(item.to > at, "a skip leads on");
      at = item.kind === "entry" ? item.seq : item.to;
    }
    assert.equal(at, log.entries.length);
  }
}

function compareAll(shard: MemoryShard, model: MachineModel): void {
  for (const [name, log] of model.logs) compareLog(shard, name, log);
  assert.equal(shard.machine.roomsCount, model.logs.size);
  assert.equal(shard.machine.keysCount, model.keysCount);
}

/** What lies on the disk once sweeps have caught up: nothing of what is redacted or dropped. */
function compareDisk(shard: MemoryShard, model: MachineModel): void {
  const logs = [...model.logs.values()];
  for (const { id } of manifestOf(shard.manifest).segments) {
    const blocks = shard.disk.get(id);
    assert.ok(blocks);
    const { end } = new SegmentHead(blocks.at(-1) ?? new Uint8Array(0)).range("history");
    for (const block of blocks.slice(0, end)) {
      const reader = new HistoryBlockReader(block);
      while (reader.next()) {
        const log = logs[reader.room];
        const entries = splitEntries(block.subarray(reader.start, reader.end), reader.count);
        assert.ok(log !== undefined && entries?.length === reader.count);
        entries.forEach((bytes, i) => {
          compareStored(log, reader.seqFirst + i, bytes);
        });
      }
    }
  }
}

function compareStored(log: ModelLog, seq: number, bytes: Uint8Array): void {
  if (seq < log.floor) {
    assert.equal(bytes.length, 32, "a hash is left of what was dropped");
    return;
  }
  const decoded = decodeEntry(bytes);
  assert.ok(decoded.ok);
  assert.equal(decoded.value.redacted, log.entries[seq - 1]?.redacted, "redacted on disk");
}

/** One run: a machine that keeps little in memory, one that keeps much, and the model. */
class Run {
  readonly shard = new MemoryShard(genesis, {
    cacheBytes: 0,
    chunkBytes: 32 * 1024,
    looseKeysMax: 3,
  });
  readonly twin = new MemoryShard(genesis, { cacheBytes: 1024 * 1024 }, 1024);
  readonly model = new MachineModel(rules);
  private readonly seen: Seen;
  private readonly posts: ModelPost[] = [];
  private timeUs = startMs * 1000;
  private safe = 0;

  constructor(seen: Seen) {
    this.seen = seen;
  }

  count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  checkpoint(): void {
    if (this.safe === this.shard.machine.op) return;
    this.shard.checkpoint(Uint8Array.of(1, 2, 3));
    this.twin.checkpoint(Uint8Array.of(1, 2, 3));
    assert.equal(this.shard.root, this.twin.root, "two replicas make the same manifest");
    // One does merges and sweeps at once, the other when they are due.
    if (this.safe % 3 > 0) this.shard.mergeAll();
    this.safe = this.shard.machine.op;
  }

  restart(): void {
    this.checkpoint();
    this.shard.restart();
    this.count("restart");
    assert.equal(this.shard.machine.op, this.safe);
  }

  /** Checkpoints enough for merges and a sweep. */
  checkpoints(): void {
    for (let i = 0; i < 12; i += 1) {
      this.noop();
      this.checkpoint();
    }
  }

  /** Lets sweeps catch up; then nothing may be left. */
  sweep(): void {
    const gone = (log: ModelLog): boolean => log.floor > 1 || log.entries.some((e) => e.redacted);
    if (![...this.model.logs.values()].some(gone)) return;
    const busy = (): boolean =>
      manifestOf(this.shard.manifest).segments.some((one) => one.marked || one.sweeping);
    // Merges come first: a long one takes 32 checkpoints.
    for (let i = 0; busy(); i += 1) {
      assert.ok(i < 100, "sweeps end");
      this.noop();
      this.checkpoint();
    }
    compareDisk(this.shard, this.model);
    this.count("swept");
  }

  noop(): void {
    this.timeUs += 1;
    this.model.advance(this.timeUs);
    const prepare = prepareOf(this.shard.machine.op + 1, this.timeUs, [], "noop");
    assert.deepEqual(this.shard.commit(prepare), []);
    this.twin.commit(prepare);
  }

  commit(happening: Happening & { kind: "commit" }): void {
    this.timeUs += 1 + happening.stepMs * 1000;
    if (happening.whole) this.timeUs = Math.ceil(this.timeUs / 1000) * 1000;
    const { timeUs, model, shard, twin } = this;
    model.advance(timeUs);
    const targets = (tenant: string, room: string): readonly number[] => {
      const entries = model.logs.get(`${tenant} ${room}`)?.entries ?? [];
      return entries
        .filter(({ type, seq }) => type === "message" || seq % 5 === 0)
        .map((e) => e.seq);
    };
    const wanted = happening.requests.map((r) => {
      const headOf = (tenant: string, room: string): number =>
        model.logs.get(`${tenant} ${room}`)?.entries.length ?? 0;
      return r.map((one) => toModel(timeUs, one, this.posts, targets, headOf));
    });
    const requests = wanted.map((r) => requestOf(r.map(toMachine)));
    const prepare = prepareOf(shard.machine.op + 1, timeUs, requests);
    if (shard.machine.needs(prepare).length > 0) this.count("needs blocks");
    const replies = shard.commit(prepare);
    assert.deepEqual(twin.commit(prepare), replies);
    wanted.forEach((operations, r) => {
      operations.forEach((operation, index) => {
        const expected = model.apply(operation);
        const result = readResult(replies[r] ?? new Uint8Array(0), index);
        assert.ok(result);
        const { code, dup, seq, timeUs: at } = result;
        const what = operation.kind === "post" ? operation.type : operation.kind;
        this.count(dup ? "dup" : code);
        this.count(`${what} ${code}`);
        assert.deepEqual({ code, dup, seq, timeUs: at }, expected, JSON.stringify(operation));
      });
    });
  }
}

/** Plays one history; throws when machine, twin and model disagree. */
export function play(events: readonly Happening[], seen: Seen): void {
  const run = new Run(seen);
  for (const happening of events) {
    if (happening.kind === "checkpoint") run.checkpoint();
    else if (happening.kind === "restart") run.restart();
    else if (happening.kind === "noop") run.noop();
    else if (happening.kind === "checkpoints") run.checkpoints();
    else run.commit(happening);
  }
  compareAll(run.shard, run.model);
  run.restart();
  compareAll(run.shard, run.model);
  compareAll(run.twin, run.model);
  run.sweep();
}
