// The containers of the machine against plain Maps and arrays, at sizes where they grow and split.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "#replica/base/prng.ts";
import { utf8From } from "#replica/base/text.ts";
import { DirtyRooms } from "./dirty-rooms.ts";
import { EntryStore } from "./entry-store.ts";
import { KeyTable } from "./key-table.ts";
import { keyedHash } from "./keyed-hash.ts";
import { RoomTable } from "./room-table.ts";

interface Key {
  readonly ms: number;
  readonly room: number;
  readonly seq: number;
  readonly hash: Int32Array;
}

function found(table: KeyTable, key: Key): number[] {
  const cursor = { slot: -1, seq: 0, part: 0 };
  const seqs: number[] = [];
  while (table.next(key.ms, key.room, 2 ** 48, key.hash, cursor)) seqs.push(cursor.seq);
  return seqs;
}

for (const looseMax of [undefined, 9000, 100]) {
  test(`key table: finds every key and forgets whole generations (${looseMax} loose)`, () => {
    const table = new KeyTable(looseMax);
    const prng = new Prng(5);
    const generationMs = 2 ** 20;
    const keys: Key[] = [];
    for (let i = 0; i < 60_000; i += 1) {
      const hash = Int32Array.of(prng.uint32(), prng.uint32());
      const ms = prng.below(5) * generationMs + prng.below(3) * 2 ** 17 + 7;
      // Runs hold the low bits of a seq; the rest follows from the head of the room.
      const key = { ms, room: i % 9, seq: 2 ** 48 - 1 - i * 2 ** 10, hash };
      keys.push(key);
      table.add(key.ms, key.room, key.seq, hash);
      if (i % 50 === 0) table.work();
    }
    for (const key of keys) assert.deepEqual(found(table, key), [key.seq]);
    assert.equal(table.runsCount > 0, looseMax !== undefined);
    assert.equal(table.count, 60_000);
    table.expire(2 * generationMs + 1);
    const left = keys.filter((key) => key.ms >= 2 * generationMs);
    assert.equal(table.count, left.length);
    for (let i = 0; i < 1000; i += 1) table.work();
    for (const key of keys) {
      assert.equal(found(table, key).length, key.ms >= 2 * generationMs ? 1 : 0);
    }
  });
}

test("key table: few bytes a key, and hardly a candidate for a key that is new", () => {
  const table = new KeyTable(20_000);
  const prng = new Prng(9);
  for (let i = 0; i < 400_000; i += 1) {
    table.add(5, 1, i + 1, Int32Array.of(prng.uint32(), prng.uint32()));
    if (i % 400 === 0) table.work();
  }
  for (let i = 0; i < 500; i += 1) table.work();
  let candidates = 0;
  for (let i = 0; i < 100_000; i += 1) {
    const hash = Int32Array.of(prng.uint32(), prng.uint32());
    candidates += found(table, { ms: 5, room: 1, seq: 0, hash }).length;
  }
  assert.equal(candidates, 0);
  const perKey = table.memoryBytes / table.count;
  assert.ok(perKey < 10.7, `${perKey} bytes a key`);
});

test("key table: equal hashes are all offered, so that the caller can compare", () => {
  for (const looseMax of [undefined, 20]) {
    const table = new KeyTable(looseMax);
    const hash = Int32Array.of(1, 2);
    for (let seq = 1; seq <= 300; seq += 1) {
      table.add(5, 1, seq, hash);
      table.work();
    }
    const seqs = found(table, { ms: 5, room: 1, seq: 0, hash });
    assert.equal(new Set(seqs).size, 300);
    assert.equal(seqs.length, 300);
  }
});

test("room table: finds every room while its index grows, and no other", () => {
  const table = new RoomTable(1, 2);
  const add = (name: string): number => {
    const bytes = utf8From(`t${name}maker`);
    return table.add(bytes, 0, 1, bytes.length - 6, 5);
  };
  const find = (tenant: string, name: string): number => {
    const bytes = utf8From(tenant + name);
    return table.find(bytes, 0, tenant.length, tenant.length, bytes.length - tenant.length);
  };
  for (let i = 0; i < 20_000; i += 1) {
    assert.equal(add(`room-${i}`), i);
    if (i % 97 === 0) for (let j = 0; j <= i; j += 31) assert.equal(find("t", `room-${j}`), j);
  }
  for (let i = 0; i < 20_000; i += 1) assert.equal(find("t", `room-${i}`), i);
  assert.equal(find("t", "room-20000"), -1);
  assert.equal(find("u", "room-1"), -1);
  assert.equal(find("", "troom-1"), -1);
  assert.deepEqual(table.name(77), { tenant: "t", room: "room-77" });
});

test("entry store: every entry of every chain is found until its chunk is released", () => {
  const store = new EntryStore(32 * 1024);
  const prng = new Prng(11);
  const chains = Array.from({ length: 7 }, () => [] as number[]);
  for (let i = 0; i < 5000; i += 1) {
    const chain = prng.pick(chains);
    const address = store.append(chain.at(-1) ?? -1, 60 + prng.below(900));
    const seq = chain.push(address);
    store.viewOf(address).setUint32(store.offsetOf(address) + 8, seq, true);
    store.viewOf(address).setUint32(store.offsetOf(address) + 12, 0, true);
    if (i % 1000 === 999) store.release(store.end, 40 * 32 * 1024);
  }
  let inMemory = 0;
  for (const chain of chains) {
    const newest = chain.at(-1) ?? -1;
    chain.forEach((address, i) => {
      const held = address >= store.floor;
      inMemory += Number(held);
      assert.equal(store.find(newest, i + 1), held ? address : -1);
    });
    assert.equal(store.find(newest, chain.length + 1), -1);
    const middle = chain.findLast((address) => address < store.floor + 40_000) ?? -1;
    assert.equal(store.newestBelow(newest, store.floor + 40_000), middle);
    const oldest = chain.find((address) => address >= store.floor + 40_000) ?? -1;
    assert.equal(store.oldestFrom(newest, store.floor + 40_000), oldest);
  }
  assert.ok(inMemory > 1000 && inMemory < 4000);
});

test("entry store: an entry far back in a long chain is found in a few steps", () => {
  const store = new EntryStore();
  let newest = -1;
  for (let seq = 1; seq <= 100_000; seq += 1) {
    newest = store.append(newest, 64);
    store.viewOf(newest).setUint32(store.offsetOf(newest) + 8, seq, true);
  }
  let looks = 0;
  const seqAt = store.seqAt.bind(store);
  store.seqAt = (address: number): number => {
    looks += 1;
    return seqAt(address);
  };
  for (const seq of [1, 2, 777, 50_000, 99_999]) {
    assert.equal(seqAt(store.find(newest, seq)), seq);
  }
  assert.ok(looks < 5 * 120, `${looks} looks`);
});

test("dirty rooms: a walk is ascending and complete", () => {
  const dirty = new DirtyRooms();
  const rooms = new Set<number>();
  const prng = new Prng(3);
  for (let i = 0; i < 2000; i += 1) rooms.add(prng.below(i % 2 === 0 ? 300 : 300_000));
  for (const room of rooms) dirty.add(room);
  const walked: number[] = [];
  for (let room = dirty.next(0); room >= 0; room = dirty.next(room + 1)) walked.push(room);
  assert.deepEqual(
    walked,
    [...rooms].sort((a, b) => a - b),
  );
  assert.equal(new DirtyRooms().next(0), -1);
});

test("keyed hash: golden values, and each input bit matters", () => {
  const of = (key: number, word: number, a: string, b: string): string => {
    const bytes = utf8From(a + b);
    const out = new Int32Array(2);
    keyedHash(out, key, key + 1, word, bytes, 0, a.length, a.length, b.length);
    return `${(out[0] ?? 0) >>> 0}/${(out[1] ?? 0) >>> 0}`;
  };
  // From a second implementation, in Python.
  assert.equal(of(1, 0, "", ""), "4220252927/1700948874");
  assert.equal(of(1, 7, "room", "sender"), "3145929707/2212658298");
  const all = [
    of(1, 0, "", ""),
    of(2, 0, "", ""),
    of(1, 1, "", ""),
    of(1, 0, "a", ""),
    of(1, 0, "", "a"),
    of(1, 0, "abcd", "efgh"),
    of(1, 0, "abc", "defgh"),
    of(1, 0, "abcdefgh", ""),
  ];
  assert.equal(new Set(all).size, all.length);
  const hashes = new Set<string>();
  for (let i = 0; i < 50_000; i += 1) hashes.add(of(1, i, "room", "sender"));
  assert.equal(hashes.size, 50_000);
});
