// Rows of leaves hashed together against leaves hashed one by one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "#replica/base/prng.ts";
import { treeHashes } from "#replica/crypto/sha256-lanes.ts";
import { leavesAtOnceMax, NodeLanes, nodeLanesBytes } from "#replica/proof/node-lanes.ts";
import { Peaks } from "#replica/proof/peaks.ts";
import { entryFixedBytes } from "#replica/wire/entry.ts";
import { LeafHasher } from "./leaf-hasher.ts";
import { LeafLanes, leafLanesBytes } from "./leaf-lanes.ts";

const lanes = treeHashes.many(leafLanesBytes + nodeLanesBytes);
const nodes = new NodeLanes(lanes, lanes.start + leafLanesBytes);

function bytesOf(prng: Prng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => prng.below(256));
}

test("lanes: rows of leaves give the peaks and tiles that leaf after leaf gives", () => {
  const prng = new Prng(1);
  for (let run = 0; run < 20; run += 1) {
    const single = new Peaks(treeHashes.one);
    const rows = new Peaks(treeHashes.one);
    const tiles: [string[], string[]] = [[], []];
    const note = (which: 0 | 1) => (level: number, number: number, bytes: Uint8Array, at: number) =>
      tiles[which].push(
        `${level} ${number} ${Buffer.from(bytes.slice(at, at + 32)).toString("hex")}`,
      );
    for (let row = 0; row < 30; row += 1) {
      const count = prng.below(prng.pick([2, 5, leavesAtOnceMax])) + 1;
      const odd = rows.size % 2;
      for (let i = 0; i < count; i += 1) {
        const leaf = bytesOf(prng, 32);
        single.append(leaf, 0, note(0));
        nodes.bytes.set(leaf, nodes.place(0, odd, i));
      }
      rows.appendAll(count, nodes, note(1));
      assert.deepEqual(rows.encode(7), single.encode(7));
    }
    assert.deepEqual(tiles[1], tiles[0]);
  }
});

test("lanes: leaves of short, long and redacted entries are those of the single hasher", () => {
  const prng = new Prng(2);
  const together = new LeafLanes(lanes, treeHashes.one, lanes.start);
  const single = new LeafHasher(treeHashes.one);
  for (let run = 0; run < 60; run += 1) {
    const names = [prng.pick([0, 3, 255]), prng.pick([1, 40, 255])] as const;
    const record = Uint8Array.from([...names, 0, 0, ...bytesOf(prng, names[0] + names[1])]);
    single.open(record);
    together.open(record);
    const count = prng.below(leavesAtOnceMax) + 1;
    const wanted = new Uint8Array(32);
    const leaves = Array.from({ length: count }, (_, i) => {
      const redacted = prng.below(4) === 0;
      const rest = redacted ? 32 : 16 + prng.below(prng.pick([1, 200, 3_000]));
      const sender = prng.pick([1, 9, 255]);
      const entry = bytesOf(prng, entryFixedBytes + sender + rest);
      entry[2] = sender;
      entry[3] = redacted ? 1 : 0;
      const place = new Uint8Array(8 + ((entry.length + 3) & ~3));
      place.set(entry, 8);
      const stands = { bytes: place, words: new Int32Array(place.buffer) };
      together.add(stands, 8, entry.length, nodes.place(0, 0, i));
      single.leaf(entry, 0, entry.length, wanted, 0);
      return wanted.slice();
    });
    together.run();
    leaves.forEach((leaf, i) => {
      const at = nodes.place(0, 0, i);
      assert.deepEqual(lanes.bytes.slice(at, at + 32), leaf);
    });
  }
});
