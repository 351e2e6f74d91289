// A process that writes prepares for ever and prints each op when it is durable, until it is
// killed. Arguments: data directory, first op, bytes of a body.
import { ok } from "node:assert/strict";
import { writeSync } from "node:fs";
import { FileVolume } from "./file-volume.ts";
import { nextSuperblock, testPrepare } from "./test-volume.ts";

const [directory = "", first = "1", bytes = "1000"] = process.argv.slice(2);
const opened = await new FileVolume(directory).open();
ok(opened.ok, opened.ok ? "" : opened.message);
const { storage, recovered } = opened;
let next = Number(first);
let state = recovered.superblock;
const depth = 4;
const last = state.checkpoint.op + state.identity.walSlotsCount;

function writeOne(): void {
  const op = next;
  next += 1;
  if (op > last) return;
  storage.writePrepare(testPrepare(op, { bytes: Number(bytes) + (op % 7) * 3000 }), () => {
    writeSync(1, `op ${op}\n`);
    writeOne();
  });
}

function writeSuperblock(): void {
  state = nextSuperblock(state, {});
  const { sequence } = state;
  storage.writeSuperblock(state, () => {
    writeSync(1, `superblock ${sequence}\n`);
    writeSuperblock();
  });
}

for (let i = 0; i < depth; i += 1) writeOne();
writeSuperblock();
