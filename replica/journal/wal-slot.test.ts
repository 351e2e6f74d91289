// Goal: a slot tells whole from torn from damaged, for every place where a write can be cut and
// every byte that can decay. Method: exhaustive over units and bytes of a small slot.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { diskUnitBytes, prepareBodyBytesMax, walSlotBytes } from "#replica/base/limits.ts";
import type { Prepare } from "#replica/wire/prepare.ts";
import { smallGeometry, testPrepare, testTools } from "#test/support/test-volume.ts";
import { slotOf, type WalGeometry } from "./geometry.ts";
import { encodeSlot, scanSlot, type SlotBody, slotWriteBytes } from "./wal-slot.ts";

const large: WalGeometry = { slotsCount: 20, slotBytes: walSlotBytes };

function bodyOf(prepare: Prepare, counter: number): SlotBody {
  return { keyId: 3, counter, tag: new Uint8Array(16).fill(9), cipher: prepare.body };
}

function slotWith(geometry: WalGeometry, writes: readonly [Prepare, number][]): Uint8Array {
  const slot = new Uint8Array(geometry.slotBytes);
  for (const [prepare, counter] of writes) {
    encodeSlot(testTools, prepare.header, bodyOf(prepare, counter), slot, 0);
  }
  return slot;
}

function scan(geometry: WalGeometry, prepare: Prepare, bytes: Uint8Array) {
  return scanSlot(testTools, geometry, slotOf(prepare.header.op, geometry), bytes);
}

test("journal: a prepare of any size comes back from its slot, header and body", () => {
  for (const bytes of [0, 1, 3631, 3632, 3633, 3632 + 4032, 60_000, prepareBodyBytesMax]) {
    const prepare = testPrepare(7, { bytes });
    const found = scan(large, prepare, slotWith(large, [[prepare, 1]]));
    ok(found.kind === "whole", `${bytes}: ${found.kind}`);
    deepStrictEqual(found.header, prepare.header);
    deepStrictEqual(Buffer.from(found.body.cipher), Buffer.from(prepare.body));
    strictEqual(found.units * diskUnitBytes, slotWriteBytes(bytes));
  }
});

test("journal: a slot never written is blank", () => {
  const prepare = testPrepare(7);
  strictEqual(scan(smallGeometry, prepare, new Uint8Array(smallGeometry.slotBytes)).kind, "blank");
});

test("journal: a write cut at every unit boundary, in any order, is torn or not begun", () => {
  const older = testPrepare(7, { bytes: 12_000 });
  const newer = testPrepare(27, { bytes: 12_000 });
  for (const before of [[], [[older, 1]] as [Prepare, number][]]) {
    const old = slotWith(smallGeometry, before);
    const full = slotWith(smallGeometry, [...before, [newer, 2]]);
    const units = slotWriteBytes(12_000) / diskUnitBytes;
    for (let mask = 0; mask < 2 ** units; mask += 1) {
      const bytes = old.slice();
      for (let unit = 0; unit < units; unit += 1) {
        if ((mask & (1 << unit)) === 0) continue;
        const at = unit * diskUnitBytes;
        bytes.set(full.subarray(at, at + diskUnitBytes), at);
      }
      const found = scan(smallGeometry, newer, bytes);
      if (mask === 2 ** units - 1) strictEqual(found.kind, "whole");
      else if (mask === 0) strictEqual(found.kind, before.length === 0 ? "blank" : "whole");
      else deepStrictEqual([found.kind, found.kind === "mixed" && found.op], ["mixed", 27]);
    }
  }
});

test("journal: a torn shorter write over a longer one is torn; complete, it is whole", () => {
  const older = testPrepare(7, { bytes: 12_000 });
  const newer = testPrepare(27, { bytes: 100 });
  const whole = scan(
    smallGeometry,
    newer,
    slotWith(smallGeometry, [
      [older, 1],
      [newer, 2],
    ]),
  );
  ok(whole.kind === "whole");
  strictEqual(whole.header.op, 27);
});

test("journal: a bit flipped in any byte of the write makes the slot corrupt", () => {
  const prepare = testPrepare(7, { bytes: 7000 });
  const bytes = slotWith(smallGeometry, [[prepare, 1]]);
  const used = slotWriteBytes(7000);
  for (let at = 0; at < bytes.length; at += 1) {
    const bit = 1 << (at % 8);
    bytes[at] = (bytes[at] ?? 0) ^ bit;
    const found = scan(smallGeometry, prepare, bytes);
    bytes[at] = (bytes[at] ?? 0) ^ bit;
    if (at >= used) {
      strictEqual(found.kind, "whole", `byte ${at} is not of this write`);
      continue;
    }
    ok(found.kind === "invalid", `byte ${at}: ${found.kind}`);
    strictEqual(found.unit, Math.floor(at / diskUnitBytes));
  }
});

test("journal: a header survives damage of later units, not of the first", () => {
  const prepare = testPrepare(7, { bytes: 7000 });
  const bytes = slotWith(smallGeometry, [[prepare, 1]]);
  bytes[diskUnitBytes + 5] = 1 ^ (bytes[diskUnitBytes + 5] ?? 0);
  const late = scan(smallGeometry, prepare, bytes);
  ok(late.kind === "invalid");
  strictEqual(late.header?.checksum, prepare.header.checksum);
  bytes[5] = 1 ^ (bytes[5] ?? 0);
  const early = scan(smallGeometry, prepare, bytes);
  ok(early.kind === "invalid");
  strictEqual(early.header, null);
});

test("journal: a sound slot in another slot's place, or units in another order, is corrupt", () => {
  const prepare = testPrepare(7, { bytes: 7000 });
  const bytes = slotWith(smallGeometry, [[prepare, 1]]);
  strictEqual(scanSlot(testTools, smallGeometry, 8, bytes).kind, "invalid");
  const first = bytes.slice(0, diskUnitBytes);
  bytes.copyWithin(0, diskUnitBytes, 2 * diskUnitBytes);
  bytes.set(first, diskUnitBytes);
  strictEqual(scan(smallGeometry, prepare, bytes).kind, "invalid");
});
