// Goal: the table of clients (rule A9): recorded at commit only, evicted alike everywhere,
// encoded exactly.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checksumFrom, clientIdFrom, opFrom } from "#replica/base/brands.ts";
import { sessionWindowMax } from "#replica/base/limits.ts";
import { Sessions } from "./sessions.ts";

const checksum = checksumFrom("a".repeat(64));

function client(n: number) {
  return clientIdFrom(n.toString(16).padStart(32, "0"));
}

function commit(sessions: Sessions, session: number, requestNumber: number, op: number): void {
  const body = new Uint8Array([requestNumber, op]);
  sessions.commit(opFrom(session), {
    requestNumber,
    requestChecksum: checksum,
    op: opFrom(op),
    body,
  });
}

test("vsr: sessions: a session is its registration's op; registering again keeps it", () => {
  const sessions = new Sessions(4);
  assert.equal(sessions.register(client(1), opFrom(7)).session, 7);
  assert.equal(sessions.register(client(1), opFrom(9)).session, 7);
  assert.equal(sessions.count, 1);
});

test("vsr: sessions: each request commits once and in order, the last answers stay", () => {
  const sessions = new Sessions(4);
  const session = sessions.register(client(1), opFrom(1));
  for (let n = 1; n <= 12; n += 1) commit(sessions, 1, n, n + 1);
  assert.throws(() => commit(sessions, 1, 12, 20), /VSR-31/);
  assert.throws(() => commit(sessions, 1, 14, 20), /VSR-31/);
  assert.equal(sessions.reply(session, 12 - sessionWindowMax), undefined);
  assert.deepEqual(sessions.reply(session, 12)?.body, new Uint8Array([12, 13]));
});

test("vsr: sessions: the longest idle one goes first, the older of two alike", () => {
  const sessions = new Sessions(3);
  for (const n of [1, 2, 3]) sessions.register(client(n), opFrom(n));
  commit(sessions, 1, 1, 4);
  sessions.register(client(4), opFrom(5));
  assert.equal(sessions.get(opFrom(2)), undefined);
  assert.ok(sessions.get(opFrom(1)) !== undefined && sessions.get(opFrom(3)) !== undefined);
  commit(sessions, 2, 1, 6); // Of the evicted one: left alone, on every replica.
  assert.equal(sessions.count, 3);
});

test("vsr: sessions: encoding and loading gives the same table and the same bytes", () => {
  const sessions = new Sessions(8);
  for (const n of [3, 5, 6]) sessions.register(client(n), opFrom(n));
  for (let n = 1; n <= 10; n += 1) commit(sessions, 5, n, 6 + n);
  const bytes = sessions.encode();
  const loaded = new Sessions(8);
  loaded.load(bytes);
  assert.deepEqual(loaded.encode(), bytes);
  assert.equal(loaded.ofClient(client(5))?.committed, 10);
  loaded.load(new Uint8Array(0));
  assert.equal(loaded.count, 0);
});
