// Goal: identifiers survive the tearing and rot of one copy, and never come back changed.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { opFrom } from "#replica/base/brands.ts";
import { diskUnitBytes } from "#replica/base/limits.ts";
import { testPrepare, testTools } from "#test/support/test-volume.ts";
import {
  chooseSector,
  decodeSector,
  encodeSector,
  identifierAbsent,
  type StoredIdentifier,
} from "./identifier-sector.ts";

const { header } = testPrepare(3);
const entries: readonly StoredIdentifier[] = [
  identifierAbsent,
  { state: "present", op: header.op, header },
  { state: "faulty", op: header.op, header },
  { state: "faulty", op: opFrom(13), header: null },
  { state: "void", op: header.op, header },
  ...new Array<StoredIdentifier>(5).fill(identifierAbsent),
];

function sector(copy: 0 | 1, sequence: number): Uint8Array {
  const bytes = new Uint8Array(diskUnitBytes);
  encodeSector(testTools, { sector: 4, copy, sequence }, entries, bytes, 0);
  return bytes;
}

test("journal: every state of an identifier comes back from its sector", () => {
  const found = decodeSector(testTools, { sector: 4, copy: 1 }, sector(1, 9));
  ok(found.kind === "valid");
  strictEqual(found.sequence, 9);
  deepStrictEqual(found.entries, entries);
});

test("journal: a bit flipped anywhere, or another place, makes a sector invalid", () => {
  const bytes = sector(0, 1);
  for (let at = 0; at < bytes.length; at += 1) {
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
    const found = decodeSector(testTools, { sector: 4, copy: 0 }, bytes);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
    strictEqual(found.kind, "invalid", `byte ${at}`);
  }
  strictEqual(decodeSector(testTools, { sector: 5, copy: 0 }, bytes).kind, "invalid");
  strictEqual(decodeSector(testTools, { sector: 4, copy: 1 }, bytes).kind, "invalid");
});

test("journal: of two copies the newer sound one counts, and both damaged are not absent", () => {
  const read = (copy: 0 | 1, bytes: Uint8Array) => {
    return decodeSector(testTools, { sector: 4, copy }, bytes);
  };
  const blank = new Uint8Array(diskUnitBytes);
  const rotten = new Uint8Array(diskUnitBytes).fill(3);
  const chosen = (a: Uint8Array, b: Uint8Array) => chooseSector(read(0, a), read(1, b));
  strictEqual(chosen(sector(0, 5), sector(1, 6)).copy, 1);
  strictEqual(chosen(sector(0, 7), sector(1, 6)).copy, 0);
  strictEqual(chosen(rotten, sector(1, 6)).sequence, 6);
  strictEqual(chosen(sector(0, 5), rotten).sequence, 5);
  strictEqual(chosen(blank, blank).entries[0]?.state, "absent");
  strictEqual(chosen(rotten, blank).entries[0]?.state, "absent");
  strictEqual(chosen(rotten, rotten).entries[0]?.state, "unreadable");
});
