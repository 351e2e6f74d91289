// Pauses and costs of checkpoints with many rooms: node checkpoint.bench.ts [rooms] [entries].
// Writing is in memory, so figures are of this room alone, in CPU time of the thread: what others
// do on the machine does not count.
import { utf8From } from "#replica/base/text.ts";
import { MemoryShard } from "#test/support/memory-shard.ts";
import type { Operation } from "#test/support/prepares.ts";
import { createRoom, post, prepareOf, requestOf, uuidv7 } from "#test/support/prepares.ts";

const roomsCount = Number(process.argv[2] ?? 1_000_000);
const entriesCount = Number(process.argv[3] ?? 1_000_000);
const perPrepare = 400;
const preparesPerCheckpoint = 240;
const startMs = 1_800_000_000_000;
const shard = new MemoryShard({
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 24, max: 100_000_000 },
  roomsMax: 10_000_000,
  seed: utf8From("sixteen bytes ok"),
});

/** Runs something and keeps its CPU time: summed, and the longest. */
class Timed {
  cpuMs = 0;
  slowestMs = 0;
  calls = 0;

  run<T>(work: () => T): T {
    const cpuBefore = process.threadCpuUsage();
    const result = work();
    const cpu = process.threadCpuUsage(cpuBefore);
    const ms = (cpu.user + cpu.system) / 1000;
    this.cpuMs += ms;
    this.slowestMs = Math.max(this.slowestMs, ms);
    this.calls += 1;
    return result;
  }

  get facts(): Record<string, number> {
    const round = (value: number): number => Math.round(value * 10) / 10;
    return { calls: this.calls, cpuMs: round(this.cpuMs), slowestMs: round(this.slowestMs) };
  }
}

const apply = new Timed();
const freeze = new Timed();
const step = new Timed();

function commit(operations: readonly Operation[]): void {
  const op = shard.machine.op + 1;
  const prepare = prepareOf(op, startMs * 1000 + op * 4000, [requestOf(operations)]);
  apply.run(() => shard.commit(prepare));
  if (op % preparesPerCheckpoint === 0) checkpoint();
}

function checkpoint(): void {
  freeze.run(() => shard.freeze());
  while (step.run(() => shard.step()));
}

for (let first = 0; first < roomsCount; first += perPrepare) {
  const count = Math.min(perPrepare, roomsCount - first);
  commit(Array.from({ length: count }, (_, i) => createRoom(`room-${first + i}`)));
}
checkpoint();
console.log(JSON.stringify({ rooms: shard.machine.roomsCount, apply: apply.facts }));
const body = "x".repeat(64);
for (let made = 0; made < entriesCount; ) {
  const operations: Operation[] = [];
  for (let i = 0; i < perPrepare; i += 1) {
    made += 1;
    const key = uuidv7(startMs + Math.floor(made / 100), made);
    const room = `room-${(made * 2_654_435_761) % roomsCount}`;
    operations.push(post({ room, sender: `user-${made % 5000}`, key, body }));
  }
  commit(operations);
}
checkpoint();
const { bytesWritten } = shard.traffic;
const { memoryBytes, keysMemoryBytes } = shard.machine;
console.log(JSON.stringify({ apply: apply.facts, freeze: freeze.facts, step: step.facts }));
console.log(JSON.stringify({ bytesWritten, memoryBytes, keysMemoryBytes }));
const restart = new Timed();
restart.run(() => shard.restart());
console.log(JSON.stringify({ restart: restart.facts, entries: shard.machine.entriesCount }));
