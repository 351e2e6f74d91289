// Goal: a segment's blocks come back as written, damage of one block is that block's only, and a
// repaired block is whole again.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { TestReplica } from "#test/support/test-replica.ts";

const lengths = [65_536, 1, 0, 40_000, ...new Array<number>(30).fill(3000)];
const blocks = lengths.map((length, i) => new Uint8Array(length).map((_, j) => (i + j) & 0xff));

function written(): TestReplica {
  const replica = TestReplica.format().clone();
  let done = false;
  replica.storage.writeSegment("log-7", blocks, () => {
    done = true;
  });
  replica.disk.settle();
  ok(done);
  return replica;
}

function read(replica: TestReplica, block: number, id = "log-7"): Uint8Array | null {
  let found: Uint8Array | null | undefined;
  replica.storage.readBlock(id, block, (bytes) => {
    found = bytes;
  });
  strictEqual(found, undefined, "never inside the call");
  replica.disk.settle();
  ok(found !== undefined, "a read completes");
  return found;
}

test("storage: every block of a segment comes back, after a restart too", () => {
  const replica = written();
  for (const again of [replica, replica.clone()]) {
    for (const [i, block] of blocks.entries()) deepStrictEqual(read(again, i), block);
    strictEqual(read(again, blocks.length), null);
    strictEqual(read(again, 0, "log-8"), null);
  }
});

test("storage: a damaged block reads as null, others stand, and a repair makes it whole", () => {
  const replica = written();
  const second = 8192 + 64 + 65_536;
  for (const at of [second, second + 20, second + 56, second + 64]) {
    replica.flip("segments/log-7", at);
    strictEqual(read(replica, 1), null, `byte ${at}`);
    deepStrictEqual(read(replica, 0), blocks[0]);
    deepStrictEqual(read(replica, 3), blocks[3]);
    replica.storage.repairBlock("log-7", 1, blocks[1] ?? new Uint8Array(0), () => undefined);
    replica.disk.settle();
    deepStrictEqual(read(replica, 1), blocks[1]);
  }
});

test("storage: one damaged table is read from its copy, two are rebuilt from the blocks", () => {
  const replica = written();
  replica.flip("segments/log-7", 20);
  deepStrictEqual(read(replica.clone(), 3), blocks[3]);
  const both = written();
  both.flip("segments/log-7", 20);
  both.flip("segments/log-7", 4096 + 20);
  const again = both.clone();
  for (const [i, block] of blocks.entries()) deepStrictEqual(read(again, i), block);
  deepStrictEqual(read(again.clone(), 3), blocks[3]);
});

test("storage: a block of another segment or place is not taken for this one", () => {
  const replica = written();
  const file = replica.disk.files.get("segments/log-7");
  ok(file !== undefined);
  replica.disk.files.set("segments/log-9", file.slice());
  strictEqual(read(replica, 3, "log-9"), null);
});

test("storage: any number of segments may be written at once", () => {
  const replica = TestReplica.format().clone();
  let durable = 0;
  for (let i = 0; i < 30; i += 1) {
    replica.storage.writeSegment(`many-${i}`, blocks.slice(i), () => {
      durable += 1;
    });
  }
  replica.disk.settle();
  strictEqual(durable, 30);
  for (let i = 0; i < 30; i += 1) deepStrictEqual(read(replica, 0, `many-${i}`), blocks[i]);
});

test("storage: removed segments are gone; removing what is absent is no fault", () => {
  const replica = written();
  let removed = false;
  replica.storage.removeSegments(["log-7", "log-1"], () => {
    removed = true;
  });
  replica.disk.settle();
  ok(removed);
  strictEqual(read(replica, 0), null);
});

test("storage: two writes of one segment go one after the other, both complete", () => {
  const replica = TestReplica.format().clone();
  const done: string[] = [];
  replica.storage.writeSegment("twice", blocks, () => done.push("first"));
  replica.storage.writeSegment("twice", blocks, () => done.push("second"));
  replica.disk.settle();
  deepStrictEqual(done, ["first", "second"]);
  for (const [i, block] of blocks.entries()) deepStrictEqual(read(replica, i, "twice"), block);
});
