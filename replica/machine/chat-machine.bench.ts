// Posts a second of one core's time through ChatMachine.apply, with needs() before, as production
// does. CPU time of the thread, so that a busy machine does not blur it; slowest call by the clock.
import { performance } from "node:perf_hooks";
import { createRoom, post, prepareOf, requestOf, uuidv7 } from "#test/support/prepares.ts";
import { opFrom } from "#replica/base/brands.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { ChatMachine } from "./chat-machine.ts";

const roomsCount = 1000;
const perPrepare = 400;
const preparesCount = 2500;
const startMs = 1_800_000_000_000;
const machine = new ChatMachine({
  slots: { first: 0, count: 4096, epoch: 1 },
  keys: { windowHours: 24, max: 100_000_000 },
  roomsMax: 1_000_000,
  seed: new Uint8Array(16).fill(3),
});

let op = 0;
let timeUs = startMs * 1000;
const commit = (prepare: Prepare): void => {
  machine.apply(
    prepare,
    machine.needs(prepare).map(() => new Uint8Array(0)),
  );
  if (op % 240 === 0) {
    machine.freeze(opFrom(op));
    machine.release(opFrom(op), [{ id: "none", locate: () => -1 }]);
  }
};

for (let room = 0; room < roomsCount; room += 100) {
  const operations = Array.from({ length: 100 }, (_, i) => createRoom(`room-${room + i}`));
  op += 1;
  timeUs += 1000;
  commit(prepareOf(op, timeUs, [requestOf(operations)]));
}
const body = "x".repeat(128);
let made = 0;
let slowestMs = 0;
let spentMs = 0;
for (let batch = 0; batch < preparesCount; batch += 1) {
  const operations = Array.from({ length: perPrepare }, () => {
    made += 1;
    const number = (made * 2_654_435_761) % roomsCount;
    const key = uuidv7(startMs + Math.floor(made / 100), made);
    return post({ room: `room-${number}`, sender: `user-${made % 5000}`, key, body });
  });
  op += 1;
  timeUs += 4000;
  const prepare = prepareOf(op, timeUs, [requestOf(operations)]);
  const before = performance.now();
  const cpuBefore = process.threadCpuUsage();
  commit(prepare);
  const cpu = process.threadCpuUsage(cpuBefore);
  spentMs += (cpu.user + cpu.system) / 1000;
  slowestMs = Math.max(slowestMs, performance.now() - before);
}
const perSecond = Math.round((made / spentMs) * 1000);
const bytesPerKey = Math.round((machine.keysMemoryBytes / machine.keysCount) * 10) / 10;
console.log(JSON.stringify({ posts: made, perSecond, slowestMs, bytesPerKey }));
