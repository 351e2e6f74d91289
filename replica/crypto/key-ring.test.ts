// Goal: the decisions of the data keys' table over all their inputs: which copy counts, what power
// cut at every write leaves, what is kept and forgotten, and that the table never runs full.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { chooseTable, type CopyWrite, KeyRing } from "./key-ring.ts";
import {
  dataKeysMax,
  encodeKeyTable,
  type KeyTableCopy,
  type KeyWrapping,
  type NamedKek,
  tableCopyBytes,
  wrappedBytes,
} from "./key-table.ts";

type Copy = KeyTableCopy<NamedKek, number>;
type Ring = KeyRing<NamedKek, number>;

let made = 0;
/** A key is a number; wrapped, it stands beside the name of what wraps it. */
const wrapping: KeyWrapping<NamedKek, number> = {
  make() {
    made += 1;
    return made;
  },
  wrap(kek, id, _purpose, key) {
    const bytes = new Uint8Array(wrappedBytes);
    bytes.set(kek.id);
    new DataView(bytes.buffer).setUint32(16, key);
    new DataView(bytes.buffer).setUint32(20, id);
    return bytes;
  },
  unwrap(kek, id, _purpose, wrapped) {
    const view = new DataView(wrapped.buffer, wrapped.byteOffset);
    const right = kek.id.every((byte, i) => byte === wrapped[i]) && view.getUint32(20) === id;
    return right ? view.getUint32(16) : null;
  },
};

const kekOf = (byte: number): NamedKek => ({ id: new Uint8Array(16).fill(byte) });
const kek = kekOf(1);
const next = kekOf(2);

class File {
  readonly copies: [Uint8Array, Uint8Array] = [empty(), empty()];

  land({ place, bytes }: CopyWrite): void {
    this.copies[place].set(bytes);
  }

  tear({ place, bytes }: CopyWrite): void {
    this.copies[place].set(bytes.subarray(0, 64));
    this.copies[place].set(bytes.subarray(128, 256), 128);
  }

  open(...keks: [NamedKek, ...NamedKek[]]): ReturnType<typeof KeyRing.open<NamedKek, number>> {
    return KeyRing.open(wrapping, keks, this.copies);
  }

  ring(...keks: [NamedKek, ...NamedKek[]]): Ring {
    const opening = this.open(...keks);
    ok(opening.ok, opening.ok ? "" : opening.reason);
    return opening.ring;
  }

  /** Writes a whole change. */
  settle(ring: Ring, first: CopyWrite | null): void {
    for (let copy = first; copy !== null; copy = ring.wrote()) this.land(copy);
  }

  clone(): File {
    const file = new File();
    file.copies[0].set(this.copies[0]);
    file.copies[1].set(this.copies[1]);
    return file;
  }
}

function empty(): Uint8Array {
  return new Uint8Array(tableCopyBytes);
}

function write(result: CopyWrite | "same" | "busy" | null): CopyWrite {
  ok(result !== null && typeof result !== "string");
  return result;
}

/** A booted ring with keys for both purposes, and its file. */
function booted(): { readonly file: File; readonly ring: Ring } {
  const file = new File();
  const ring = file.ring(kek);
  file.settle(ring, ring.boot());
  file.settle(ring, ring.need("segment"));
  return { file, ring };
}

function valid(sequence: number, by: NamedKek, nextId: number): Copy {
  return { kind: "valid", kek: by, table: { sequence, nextId, keys: [] } };
}

test("crypto: the newest copy counts, whatever the other one is (CRY-06)", () => {
  const kinds: readonly Copy[] = [
    { kind: "blank" },
    { kind: "invalid" },
    ...[4, 5].map((sequence): Copy => ({ kind: "foreign", sequence })),
    ...[4, 5].flatMap((sequence) => {
      return [kek, next].flatMap((by) => [7, 8].map((nextId) => valid(sequence, by, nextId)));
    }),
  ];
  const at = (copy: Copy): number => {
    if (copy.kind === "valid") return copy.table.sequence;
    return copy.kind === "foreign" ? copy.sequence : -1;
  };
  for (const first of kinds) {
    for (const second of kinds) {
      // Two whole copies never have one number: they take turns.
      if (at(first) === at(second) && at(first) >= 0) continue;
      const choice = chooseTable([first, second]);
      deepStrictEqual(chooseTable([second, first]), choice, "the place does not matter");
      const [newest, older] = at(first) > at(second) ? [first, second] : [second, first];
      if (at(newest) < 0) {
        const blank = first.kind === "blank" && second.kind === "blank";
        strictEqual(choice.kind, blank ? "blank" : "damaged");
      } else if (newest.kind !== "valid") {
        strictEqual(choice.kind, "foreign", "never an older copy in its place");
      } else {
        ok(choice.kind === "table");
        strictEqual(choice.table, newest.table);
        strictEqual(choice.kek, newest.kek);
        const same = older.kind === "valid" && older.kek === newest.kek;
        const alike = same && older.table.nextId === newest.table.nextId;
        const whole = alike ? "whole" : "behind";
        strictEqual(choice.state, older.kind === "invalid" ? "one_copy" : whole);
      }
    }
  }
});

test("crypto: power cut at every write of every change loses no key in use (CRY-05)", () => {
  const changes: readonly ((ring: Ring) => CopyWrite)[] = [
    (ring) => write(ring.rotate([1])),
    (ring) => write(ring.rotate([])),
    (ring) => write(ring.rewrap(next)),
  ];
  for (const change of changes) {
    for (const cutAt of [0, 1, 2]) {
      for (const how of ["none", "torn", "landed"] as const) {
        const { file, ring } = booted();
        const inUse = [ring.take("wal"), ring.take("segment")];
        let copy: CopyWrite | null = change(ring);
        for (let done = 0; done < cutAt && copy !== null; done += 1) {
          file.land(copy);
          copy = ring.wrote();
        }
        strictEqual(copy === null, cutAt === 2);
        if (copy === null) inUse.push(ring.take("wal"), ring.take("segment"));
        else if (how === "torn") file.tear(copy);
        else if (how === "landed") file.land(copy);
        const again = file.ring(next, kek);
        for (const { id, key } of inUse) strictEqual(again.key(id), key, `${cutAt} ${how}`);
        file.settle(again, again.boot());
        const fresh = again.take("wal");
        ok(inUse.every(({ key }) => key !== fresh.key) && fresh.counter === 1);
        // After a boot the former key-encryption key is needed for nothing.
        const opening = file.open(next);
        ok(opening.ok && opening.state === "whole");
      }
    }
  }
});

test("crypto: after every change either copy alone has all keys (CRY-05)", () => {
  const { file, ring } = booted();
  const inUse = [ring.take("wal"), ring.take("segment")];
  file.settle(ring, ring.rotate([1]));
  inUse.push(ring.take("wal"));
  file.settle(ring, write(ring.rewrap(next)));
  inUse.push(ring.take("segment"));
  for (const place of [0, 1] as const) {
    for (const damage of ["decayed", "blank"] as const) {
      const bad = file.clone();
      if (damage === "blank") bad.copies[place].fill(0);
      else bad.copies[place][130] = (bad.copies[place][130] ?? 0) ^ 1;
      const opening = bad.open(next);
      ok(opening.ok);
      strictEqual(opening.state, damage === "blank" ? "behind" : "one_copy");
      for (const { id, key } of inUse) strictEqual(opening.ring.key(id), key);
      // The next write goes to the damaged copy, not to the only one that is whole.
      strictEqual(write(opening.ring.boot()).place, place);
    }
  }
});

test("crypto: one change at a time, and its keys are used only after it (CRY-05)", () => {
  const { file, ring } = booted();
  const before = ring.take("wal");
  const first = write(ring.rotate([]));
  strictEqual(ring.rotate([]), null);
  strictEqual(ring.rewrap(next), "busy");
  strictEqual(ring.need("segment"), null);
  strictEqual(ring.take("wal").id, before.id);
  file.land(first);
  const second = write(ring.wrote());
  ok(second.place !== first.place);
  strictEqual(ring.take("wal").id, before.id);
  file.land(second);
  strictEqual(ring.wrote(), null);
  const after = ring.take("wal");
  deepStrictEqual([after.id > before.id, after.counter], [true, 1]);
  strictEqual(ring.rewrap(kek), "same");
});

test("crypto: rotation forgets log keys that nobody needs, never a segment's (CRY-07)", () => {
  for (const keeps of [[], [1], [2], [1, 2], [1, 2, 99]]) {
    const { file, ring } = booted();
    file.settle(ring, ring.rotate([1]));
    file.settle(ring, ring.rotate(keeps));
    const held = [1, 2, 3, 4].filter((id) => ring.key(id) !== null);
    // 1: the first of the log; 2: of segments; 3: was in use when the last rotation began; 4: its.
    deepStrictEqual(held, keeps.includes(1) ? [1, 2, 3, 4] : [2, 3, 4]);
  }
});

test("crypto: a wrong key-encryption key never goes back to the older copy (CRY-06)", () => {
  const { file, ring } = booted();
  deepStrictEqual(file.open(next), { ok: false, reason: "foreign" });
  // Cut between the two writes of a rewrap: the former key alone must not go back to the old copy.
  file.land(write(ring.rewrap(next)));
  deepStrictEqual(file.open(kek), { ok: false, reason: "foreign" });
  const opening = file.open(next);
  ok(opening.ok && opening.state === "behind");
});

test("crypto: a copy that lies in the other's place does not count", () => {
  const { file } = booted();
  file.copies[0].set(file.copies[1]);
  const opening = file.open(kek);
  ok(opening.ok && opening.state === "one_copy");
  file.copies[1].fill(0);
  deepStrictEqual(file.open(kek), { ok: false, reason: "damaged" });
});

test("crypto: a table that an older build left with one copy behind opens and heals", () => {
  const keys = [1, 2].map((id) => {
    return { id, purpose: "wal" as const, key: id, wrapped: wrapping.wrap(kek, id, "wal", id) };
  });
  const file = new File();
  const table = (sequence: number): Uint8Array => {
    const held = keys.slice(0, sequence);
    return encodeKeyTable(kek, { sequence, nextId: held.length + 1, keys: held });
  };
  file.land({ place: 1, bytes: table(1) });
  file.land({ place: 0, bytes: table(2) });
  const opening = file.open(kek);
  ok(opening.ok && opening.state === "behind");
  deepStrictEqual([opening.ring.key(1), opening.ring.key(2)], [1, 2]);
  file.settle(opening.ring, opening.ring.boot());
  const again = file.open(kek);
  ok(again.ok && again.state === "whole");
});

test("crypto: a table with few places left keeps its keys and never runs full (CRY-08)", () => {
  const tableOf = (count: number): File => {
    const keys = Array.from({ length: count }, (_, i) => {
      const wrapped = wrapping.wrap(kek, i + 1, "segment", i);
      return { id: i + 1, purpose: "segment" as const, key: i, wrapped };
    });
    const file = new File();
    file.land({
      place: 0,
      bytes: encodeKeyTable(kek, { sequence: 2, nextId: count + 1, keys }),
    });
    return file;
  };
  strictEqual(
    tableOf(dataKeysMax - 1)
      .ring(kek)
      .boot(),
    null,
    "no room for a boot",
  );
  const file = tableOf(dataKeysMax - 2);
  const ring = file.ring(kek);
  file.settle(ring, write(ring.boot()));
  file.settle(ring, write(ring.need("segment")));
  strictEqual(ring.size, dataKeysMax);
  strictEqual(ring.rotate([]), null, "the key in use stays");
  const { id } = ring.take("segment");
  file.settle(ring, write(ring.rewrap(next)));
  strictEqual(ring.take("segment").id, id, "wrapped anew, but not replaced");
  strictEqual(ring.size, dataKeysMax);
});
