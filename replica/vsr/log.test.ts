// Goal: the ring of headers: chain, gaps, installation of a selected log, what the disk holds
// beside it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { opFrom } from "#replica/base/brands.ts";
import { Log } from "./log.ts";
import { chainOf, headerOf, otherThan } from "./testdata/headers.ts";

const chain = chainOf(40);

function at(op: number) {
  const header = chain[op];
  assert.ok(header !== undefined);
  return header;
}

function logTo(head: number): Log {
  const log = new Log(32);
  log.slot(0).header = at(0);
  log.open(opFrom(0));
  for (let op = 1; op <= head; op += 1) log.advance(at(op));
  return log;
}

test("vsr: log: a gap breaks the chain, headers named by it close the gap from above", () => {
  const log = logTo(5);
  log.advance(at(9));
  assert.equal(log.chainLow, 9);
  assert.equal(log.extendChain(at(7)), false);
  assert.equal(log.extendChain(otherThan(at(8))), false);
  for (const op of [8, 7, 6]) assert.equal(log.extendChain(at(op)), true);
  assert.equal(log.chainLow, 0);
});

test("vsr: log: adjacent headers of a view that do not chain stop the replica", () => {
  const log = logTo(5);
  assert.throws(() => log.advance({ ...at(6), parent: at(2).checksum }), /VSR-07/);
});

test("vsr: log: an installed log ends at its head; leftovers of the disk are not present", () => {
  const log = logTo(8);
  for (let op = 1; op <= 8; op += 1) log.slot(op).disk = at(op);
  const six = headerOf(6, 3, 0);
  log.install([six, at(5)]);
  assert.equal(log.head, 6);
  assert.equal(log.header(7), null);
  assert.equal(log.present(6), false);
  assert.equal(log.present(5), true);
});

test("vsr: log: a fault stays with its op; a newer op of the slot was never written", () => {
  const log = logTo(8);
  log.slot(3).faulty = true;
  for (let op = 9; op <= 34; op += 1) log.advance(at(op));
  assert.deepEqual(log.faultyOps(), [3]);
  assert.equal(log.present(3), false);
  log.advance(at(35));
  assert.deepEqual(log.faultyOps(), []);
});

test("vsr: log: one write a slot; the durable one clears the fault", () => {
  const log = logTo(3);
  log.slot(3).faulty = true;
  assert.throws(() => log.wrote(at(3)), /VSR-10/);
  log.slot(3).writing = at(3).checksum;
  log.wrote(at(3));
  assert.equal(log.present(3), true);
});
