// Goal: what storage said is durable is there after a crash at any point, what was never said is
// never reported as damage. Method: the production class over a disk whose pending writes land
// unit by unit or not; every crash point of a fixed history, several ways to tear each.
import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { test } from "node:test";
import { opFrom } from "#replica/base/brands.ts";
import { Prng } from "#replica/base/prng.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import type { RecoveredSlot } from "#replica/wire/storage-port.ts";
import type { SuperblockState } from "#replica/wire/superblock.ts";
import { TestReplica } from "#test/support/test-replica.ts";
import { nextSuperblock, testPrepare, testRoot } from "#test/support/test-volume.ts";

/** What the replica was told, and what it must therefore find again. */
interface Promised {
  readonly prepares: Map<number, Prepare>;
  superblock: SuperblockState;
}

/** Slots that are clean, by op. */
function cleanOps(slots: readonly RecoveredSlot[]): readonly number[] {
  return slots.filter((slot) => slot.state === "clean").map((slot) => slot.op);
}

function readBack(replica: TestReplica, wanted: Prepare): Prepare | null {
  let found: Prepare | null | undefined;
  const { op, checksum } = wanted.header;
  replica.storage.readPrepare(op, checksum, (prepare) => {
    found = prepare;
  });
  replica.disk.settle();
  ok(found !== undefined, "a read completes");
  return found;
}

/** Lets every second unit land, beginning with an even or odd one. */
function everySecond(first: number): () => boolean {
  let unit = first;
  return () => {
    unit += 1;
    return unit % 2 === 0;
  };
}

/** Durable, its identifier perhaps not. */
function writeDurably(replica: TestReplica, prepare: Prepare): void {
  let durable = false;
  replica.storage.writePrepare(prepare, () => {
    durable = true;
  });
  while (!durable) ok(replica.disk.step());
}

/** Twelve prepares, a truncation in view 1 of the last three, a checkpoint, a lap of the ring. */
function begin(replica: TestReplica, promised: Promised): void {
  const { storage } = replica;
  const dropped = new Set<string>();
  const drop = (prepare: Prepare): void => {
    dropped.add(prepare.header.checksum);
    promised.prepares.delete(prepare.header.op);
  };
  const write = (prepare: Prepare): void => {
    storage.writePrepare(prepare, () => {
      if (dropped.has(prepare.header.checksum)) return;
      promised.prepares.set(prepare.header.op, prepare);
    });
  };
  const persist = (state: SuperblockState, then: () => void): void => {
    storage.writeSuperblock(state, () => {
      promised.superblock = state;
      then();
    });
  };
  const view0 = [testRoot];
  for (let op = 1; op <= 12; op += 1) view0.push(testPrepare(op, { bytes: op * 900 }));
  for (const prepare of view0.slice(1)) write(prepare);
  const view1 = [12, 11, 10, 9].map((op) => testPrepare(op, { view: op > 9 ? 1 : 0, bytes: 800 }));
  const headers = [testPrepare(9, { bytes: 8100 }), ...view1.slice(0, 3)].map((p) => p.header);
  const state = nextSuperblock(replica.recovered.superblock, {
    view: 1,
    logView: 1,
    viewHeaders: headers.toSorted((a, b) => b.op - a.op),
  });
  persist(state, () => {
    for (const prepare of view0.slice(10)) drop(prepare);
    for (const prepare of view1.slice(0, 3)) write(prepare);
    for (let op = 13; op <= 19; op += 1) write(testPrepare(op, { view: 1, bytes: 4100 }));
    persist(nextSuperblock(state, { checkpointOp: 12 }), () => {
      for (const prepare of view0.slice(0, 7)) {
        drop(prepare);
        write(testPrepare(prepare.header.op + 20, { view: 1, bytes: 100 }));
      }
    });
  });
}

/** Runs the history for some completions; returns what was promised and whether it ended. */
function runUntil(replica: TestReplica, steps: number, prng: Prng | null) {
  const promised: Promised = {
    prepares: new Map([[0, testRoot]]),
    superblock: replica.recovered.superblock,
  };
  begin(replica, promised);
  for (let step = 0; step < steps; step += 1) {
    const more = prng === null ? replica.disk.step() : replica.disk.stepAny(prng);
    if (!more) return { promised, ended: true };
  }
  return { promised, ended: false };
}

function checkPromises(replica: TestReplica, promised: Promised, label: string): void {
  const { slots, superblock } = replica.recovered;
  ok(superblock.sequence >= promised.superblock.sequence, `${label}: superblock went back`);
  strictEqual(
    slots.filter((slot) => slot.state === "faulty").length,
    0,
    `${label}: a healthy disk has no fault`,
  );
  const called = new Map(superblock.viewHeaders.map((h) => [Number(h.op), h.checksum]));
  for (const [op, prepare] of promised.prepares) {
    const { checksum } = prepare.header;
    // A superblock that landed without being reported may have dropped or replaced it.
    if (called.has(op) && called.get(op) !== checksum) continue;
    if (superblock.sequence > promised.superblock.sequence && op > 9) continue;
    const slot = slots.find((found) => found.header?.checksum === checksum);
    strictEqual(slot?.state, "clean", `${label}: op ${op} was acknowledged`);
    deepStrictEqual(readBack(replica, prepare), prepare, `${label}: body of op ${op}`);
  }
}

test("storage: a crash between any two completions keeps exactly what was acknowledged", () => {
  const blank = TestReplica.format();
  let crashes = 0;
  for (let steps = 0; ; steps += 1) {
    let ended = false;
    for (const lands of [() => false, () => true]) {
      const replica = blank.clone();
      const run = runUntil(replica, steps, null);
      ended = run.ended;
      replica.disk.crash(lands);
      checkPromises(replica.reopen(), run.promised, `step ${steps}`);
      crashes += 1;
    }
    if (ended) break;
  }
  ok(crashes > 60, `${crashes} crash points`);
});

test("storage: a disk that reorders and tears keeps exactly what was acknowledged", () => {
  const blank = TestReplica.format();
  for (let seed = 1; seed <= 80; seed += 1) {
    const prng = new Prng(seed);
    const replica = blank.clone();
    const { promised } = runUntil(replica, prng.below(90), prng);
    const share = prng.fraction();
    replica.disk.crash(() => prng.chance(share));
    const again = replica.reopen();
    checkPromises(again, promised, `seed ${seed}`);
    // And once more: recovery itself must not change what it found.
    const before = cleanOps(again.recovered.slots);
    again.disk.crash(() => true);
    deepStrictEqual(cleanOps(again.reopen().recovered.slots), before, `seed ${seed}: reopened`);
  }
});

test("storage: a crash during recovery loses nothing", () => {
  const blank = TestReplica.format();
  for (let seed = 1; seed <= 40; seed += 1) {
    const prng = new Prng(seed);
    const replica = blank.clone();
    const { promised } = runUntil(replica, 40, prng);
    replica.disk.crash(() => prng.chance(0.5));
    replica.beginOpen();
    for (let step = prng.below(60); step > 0; step -= 1) replica.disk.step();
    replica.disk.crash(() => prng.chance(0.5));
    checkPromises(replica.reopen(), promised, `seed ${seed}`);
  }
});

test("storage: every (key, nonce) pair encrypts once, through crashes and ring wraps", () => {
  const blank = TestReplica.format();
  const replica = blank.clone();
  runUntil(replica, 500, null);
  replica.disk.crash(() => false);
  const again = replica.reopen();
  again.storage.writePrepare(testPrepare(13, { view: 1 }), () => undefined);
  again.disk.settle();
  ok(again.vault.used.size > 30, "FakeVault throws on a repeated pair");
});

test("storage: a damaged prepare reads as null, stays faulty, and is repaired", () => {
  const replica = TestReplica.format().clone();
  const prepare = testPrepare(5, { bytes: 9000 });
  replica.writeAll([1, 2, 3, 4, 6].map((op) => testPrepare(op)).concat(prepare));
  replica.flip("prepares", 5 * 16_384 + 4096 + 100);
  strictEqual(readBack(replica, prepare), null);
  const again = replica.reopen();
  const fault = again.recovered.slots.find((slot) => slot.op === 5);
  deepStrictEqual([fault?.state, fault?.header?.checksum], ["faulty", prepare.header.checksum]);
  strictEqual(readBack(again, prepare), null);
  again.writeAll([prepare]);
  deepStrictEqual(readBack(again, prepare), prepare);
  const healed = again.reopen();
  deepStrictEqual(cleanOps(healed.recovered.slots), [0, 1, 2, 3, 4, 5, 6]);
});

test("storage: a repair torn by a crash is still faulty, never empty", () => {
  const replica = TestReplica.format().clone();
  const prepare = testPrepare(5, { bytes: 9000 });
  replica.writeAll([1, 2, 3, 4].map((op) => testPrepare(op)).concat(prepare));
  replica.flip("prepares", 5 * 16_384 + 4096 + 100);
  const damaged = replica.reopen();
  const files = damaged.disk.snapshot();
  for (let steps = 0; steps < 12; steps += 1) {
    damaged.disk.restore(files);
    for (const lands of [() => false, everySecond(0)]) {
      const repairing = damaged.clone().reopen();
      let done = false;
      repairing.storage.writePrepare(prepare, () => {
        done = true;
      });
      for (let i = 0; i < steps; i += 1) repairing.disk.step();
      repairing.disk.crash(lands);
      const slot = repairing.reopen().recovered.slots.find((found) => found.op === 5);
      ok(slot !== undefined, `step ${steps}: the op is not forgotten`);
      if (done) strictEqual(slot.state, "clean");
    }
  }
});

test("storage: rewriting what was acknowledged names it first, even when identifiers lag", () => {
  for (const damaged of [false, true]) {
    for (let steps = 0; steps < 24; steps += 1) {
      const replica = TestReplica.format().clone();
      const prepare = testPrepare(5, { bytes: 9000 });
      replica.disk.holdDeferred = true;
      writeDurably(replica, prepare);
      if (damaged) {
        replica.flip("prepares", 5 * 16_384 + 4096 + 100);
        const { op, checksum } = prepare.header;
        let read = false;
        replica.storage.readPrepare(op, checksum, () => {
          read = true;
          replica.storage.writePrepare(prepare, () => undefined);
        });
        while (!read) ok(replica.disk.step());
      } else {
        replica.storage.writePrepare(prepare, () => undefined);
      }
      for (let i = 0; i < Math.floor(steps / 2); i += 1) replica.disk.step();
      replica.disk.crash(everySecond(steps));
      const slot = replica.reopen().recovered.slots.find((found) => found.op === 5);
      ok(slot !== undefined, `step ${steps}: an acknowledged op is not nacked`);
    }
  }
});

test("storage: what is far above every name is named before it is reported (STO-14)", () => {
  for (const op of [16, 17, 18]) {
    const replica = TestReplica.format().clone();
    const prepare = testPrepare(op);
    replica.disk.holdDeferred = true;
    writeDurably(replica, prepare);
    // Its body decays, and power is cut: only the identifier can say what stood there.
    replica.flip("prepares", op * 16_384 + 100);
    replica.flip("prepares", op * 16_384 + 4060);
    replica.disk.crash(() => false);
    const slot = replica.reopen().recovered.slots.find((found) => found.op === op);
    strictEqual(slot?.state, "faulty");
    strictEqual(slot.header !== null, op > 16, `op ${op}`);
  }
});

test("storage: a superblock waits for the identifiers of what was durable before it", () => {
  const replica = TestReplica.format().clone();
  const { superblock } = replica.recovered;
  const [old, fresh] = [testPrepare(5), testPrepare(5, { view: 1 })];
  replica.writeAll([1, 2, 3, 4].map((op) => testPrepare(op)).concat(old));
  const view1 = nextSuperblock(superblock, { view: 1, logView: 1, viewHeaders: [fresh.header] });
  replica.storage.writeSuperblock(view1, () => undefined);
  replica.disk.settle();
  let installed = false;
  const headers = [testPrepare(8, { view: 2 }).header];
  const view2 = nextSuperblock(view1, { view: 2, logView: 2, viewHeaders: headers });
  replica.disk.holdDeferred = true;
  writeDurably(replica, fresh);
  // The identifier on disk still names the prepare of view 0.
  replica.storage.writeSuperblock(view2, () => {
    installed = true;
  });
  while (!installed) ok(replica.disk.step());
  replica.disk.crash(() => false);
  const { slots } = replica.reopen().recovered;
  const slot = slots.find((found) => found.op === 5);
  deepStrictEqual([slot?.state, slot?.header?.view], ["clean", 1]);
});

test("storage: an identifier write that is cut inside its unit leaves the older truth", () => {
  const replica = TestReplica.format().clone();
  const first = testPrepare(1, { bytes: 6000 });
  replica.writeAll([first]);
  for (let op = 2; op <= 6; op += 1) {
    replica.disk.holdDeferred = true;
    writeDurably(replica, testPrepare(op));
    replica.disk.releaseDeferred();
    const files = replica.disk.snapshot();
    replica.disk.crash(() => "half");
    replica.flip("prepares", 16_384 + 100);
    const slot = replica.reopen().recovered.slots.find((found) => found.op === 1);
    deepStrictEqual([slot?.state, slot?.header], ["faulty", first.header], `op ${op}`);
    replica.disk.restore(files);
    replica.reopen();
  }
});

test("storage: a read waits for the write of its slot", () => {
  const replica = TestReplica.format().clone();
  const prepare = testPrepare(1);
  let found: Prepare | null | undefined;
  let durable = false;
  replica.storage.writePrepare(prepare, () => {
    durable = true;
  });
  replica.storage.readPrepare(prepare.header.op, prepare.header.checksum, (read) => {
    ok(durable, "the write came first");
    found = read;
  });
  replica.disk.settle();
  deepStrictEqual(found, prepare);
});

test("storage: two writes of one slot reach it in order (A5a 11)", () => {
  for (let seed = 1; seed <= 15; seed += 1) {
    const prng = new Prng(seed);
    const replica = TestReplica.format().clone();
    const order: number[] = [];
    const first = testPrepare(3, { bytes: 9000 });
    const second = testPrepare(3, { view: 1, bytes: 100 });
    replica.storage.writePrepare(first, () => order.push(1));
    replica.storage.writePrepare(testPrepare(4), () => undefined);
    replica.storage.writePrepare(second, () => order.push(2));
    while (replica.disk.stepAny(prng));
    deepStrictEqual(order, [1, 2]);
    deepStrictEqual(readBack(replica, second), second);
    strictEqual(readBack(replica, first), null);
  }
});

test("storage: adjacent prepares that wait share one write", () => {
  const replica = TestReplica.format().clone();
  const before = replica.disk.writes;
  let durable = 0;
  for (let op = 1; op <= 10; op += 1) {
    replica.storage.writePrepare(testPrepare(op), () => {
      durable += 1;
    });
  }
  while (durable < 10) ok(replica.disk.step());
  ok(replica.disk.writes - before <= 6, `${replica.disk.writes - before} writes for 10 prepares`);
});

test("storage: of queued superblocks the newest is written and everyone is told", () => {
  const replica = TestReplica.format().clone();
  const told: number[] = [];
  let state = replica.recovered.superblock;
  for (let view = 1; view <= 5; view += 1) {
    state = nextSuperblock(state, { view });
    replica.storage.writeSuperblock(state, () => told.push(view));
  }
  replica.disk.settle();
  deepStrictEqual(told, [1, 2, 3, 4, 5]);
  deepStrictEqual(replica.reopen().recovered.superblock, state);
});

test("storage: a prepare waits for the checkpoint that frees its slot, or is a bug (A7)", () => {
  const replica = TestReplica.format().clone();
  replica.writeAll([1, 2].map((op) => testPrepare(op)));
  throws(() => replica.storage.writePrepare(testPrepare(21), () => undefined), /STO-10/);
  const order: string[] = [];
  const state = nextSuperblock(replica.recovered.superblock, { checkpointOp: 1 });
  replica.storage.writeSuperblock(state, () => order.push("superblock"));
  replica.storage.writePrepare(testPrepare(21), () => order.push("prepare"));
  throws(() => replica.storage.writePrepare(testPrepare(22), () => undefined), /STO-10/);
  replica.disk.settle();
  deepStrictEqual(order, ["superblock", "prepare"]);
  deepStrictEqual(cleanOps(replica.reopen().recovered.slots), [0, 2, 21]);
});

test("storage: a failed write poisons once, completes nothing more, and bars the next open", () => {
  for (const file of ["prepares", "identifiers", "superblock"]) {
    const replica = TestReplica.format().clone();
    const poisoned: string[] = [];
    replica.onPoisoned = (why) => poisoned.push(why);
    let durable = 0;
    replica.disk.writeFails.add(file);
    replica.storage.writePrepare(testPrepare(1), () => {
      durable += 1;
    });
    replica.disk.settle();
    replica.storage.writePrepare(testPrepare(2), () => {
      durable += 1;
    });
    const next = nextSuperblock(replica.recovered.superblock, { view: 1 });
    replica.storage.writeSuperblock(next, () => {
      durable += 10;
    });
    replica.disk.settle();
    strictEqual(poisoned.length, 1, file);
    ok(poisoned[0]?.includes(file));
    strictEqual(durable, { prepares: 0, identifiers: 1, superblock: 2 }[file], file);
    replica.disk.writeFails.clear();
    const refusal = replica.tryOpen();
    if (file === "superblock") continue;
    ok(!refusal.ok && refusal.code === "poisoned");
    ok(refusal.message.includes(file) && refusal.message.includes("Replace"));
  }
});

test("storage: prepares above the checkpoint that the device will not read are faulty", () => {
  const replica = TestReplica.format().clone();
  replica.writeAll([1, 2, 3].map((op) => testPrepare(op)));
  replica.disk.readFails.add(`prepares:${2 * 16_384}`);
  const again = replica.reopen();
  const fault = again.recovered.slots.find((slot) => slot.op === 2);
  deepStrictEqual([fault?.state, fault?.header?.op], ["faulty", opFrom(2)]);
  deepStrictEqual(cleanOps(again.recovered.slots), [0, 1, 3]);
});
