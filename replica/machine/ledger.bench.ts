// What the trees cost: hashing a second of posts, dense (few rooms) and sparse (one post a room),
// and what apply pays for noting the rooms. CPU time of the thread: a busy machine hardly blurs it.
import { treeHashes } from "#replica/crypto/sha256-lanes.ts";
import { sha256Into } from "#replica/crypto/hash.ts";
import { opFrom } from "#replica/base/brands.ts";
import { createRoom, post, prepareOf, requestOf, uuidv7 } from "#test/support/prepares.ts";
import { ChatMachine } from "./chat-machine.ts";
import { TreeHasher } from "./tree-hasher.ts";

const hasher = new TreeHasher(treeHashes);
const startMs = 1_800_000_000_000;
const posts = 100_000;
const perPrepare = 400;

function makeMachine(proofs: boolean): ChatMachine {
  const genesis = {
    slots: { first: 0, count: 4096, epoch: 1 },
    keys: { windowHours: 24, max: 10_000_000 },
    roomsMax: 1_000_000,
    seed: new Uint8Array(16).fill(3),
  };
  return new ChatMachine(genesis, proofs ? { proofs: sha256Into } : {});
}

function run(roomsCount: number, proofs: boolean) {
  const machine = makeMachine(proofs);
  let op = 0;
  let timeUs = startMs * 1000;
  let applyMs = 0;
  const commit = (operations: Parameters<typeof requestOf>[0]): void => {
    op += 1;
    const prepare = prepareOf(op, timeUs, [requestOf(operations)]);
    const before = process.threadCpuUsage();
    machine.needs(prepare);
    machine.apply(prepare, []);
    const cpu = process.threadCpuUsage(before);
    applyMs += (cpu.user + cpu.system) / 1000;
  };
  for (let room = 0; room < roomsCount; room += 100) {
    timeUs += 10;
    commit(Array.from({ length: 100 }, (_, i) => createRoom(`room-${room + i}`)));
  }
  let made = 0;
  let hashMs = 0;
  let slowestMs = 0;
  const hash = (): void => {
    for (;;) {
      const before = process.threadCpuUsage();
      const step = machine.ledger?.step(256) ?? { kind: "idle" };
      if (step.kind === "hash") machine.ledger?.hashed(hasher.run(step.job));
      const cpu = process.threadCpuUsage(before);
      slowestMs = Math.max(slowestMs, (cpu.user + cpu.system) / 1000);
      hashMs += (cpu.user + cpu.system) / 1000;
      if (step.kind === "idle") return;
    }
  };
  // The first second warms up the compiler and is not counted.
  for (let second = 0; second < 3; second += 1) {
    applyMs = second === 0 ? 0 : applyMs;
    hashMs = second === 1 ? 0 : hashMs;
    slowestMs = second === 1 ? 0 : slowestMs;
    for (let batch = 0; batch < posts / perPrepare; batch += 1) {
      timeUs += Math.floor((1_000_000 * perPrepare) / posts);
      commit(
        Array.from({ length: perPrepare }, () => {
          made += 1;
          const key = uuidv7(startMs + Math.floor(made / 100), made);
          return post({
            room: `room-${made % roomsCount}`,
            sender: `user-${made % 5000}`,
            key,
            body: "x".repeat(64),
          });
        }),
      );
    }
    hash();
  }
  machine.freeze(opFrom(op));
  hash();
  const perEntryUs = Math.round((hashMs / (2 * posts)) * 1e6) / 1000;
  const perApplyUs = Math.round((applyMs / (3 * posts)) * 1e6) / 1000;
  return {
    roomsCount,
    proofs,
    perEntryUs,
    perApplyUs,
    slowestSliceMs: Math.round(slowestMs * 10) / 10,
  };
}

for (const roomsCount of [100, 1000, 100_000]) {
  console.log(JSON.stringify(run(roomsCount, false)));
  console.log(JSON.stringify(run(roomsCount, true)));
}
