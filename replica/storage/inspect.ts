// npm run inspect -- DIR [--kek FILE]: superblock, rings and faults of a directory. Reads only.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { NodeVault } from "#replica/crypto/node-vault.ts";
import { FileDisk } from "./file-disk.ts";
import { inspectVolume } from "./inspect-volume.ts";
import { inspectionLines } from "./inspection-lines.ts";

const usage = "usage: npm run inspect -- DIR [--kek FILE]";
async function main(): Promise<number> {
  const [directory, flag, kekFile] = process.argv.slice(2);
  const keyed = flag === "--kek" && kekFile !== undefined;
  if (directory === undefined || (flag !== undefined && !keyed)) {
    console.error(usage);
    return 2;
  }
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    console.error(`${directory} is not a directory.`);
    return 2;
  }
  const disk = FileDisk.open({ directory, readOnly: true });
  if (!(disk instanceof FileDisk)) {
    console.error(disk.message);
    return 2;
  }
  let vault: NodeVault | null = null;
  if (keyed) {
    const file = join(directory, "keys", "data-keys");
    const kek = readFileSync(kekFile, "utf8");
    const opened = NodeVault.open({ file, kek, kekFile, readOnly: true });
    if (!opened.ok) {
      console.error(opened.reason);
      return 2;
    }
    vault = opened.value;
  }
  const inspection = await inspectVolume(disk, vault);
  for (const line of inspectionLines(inspection, keyed)) console.log(line);
  await new Promise<void>((done) => disk.close(done));
  return inspection.faults.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  // The disk or its rights: a file that is a folder, or may not be read.
  if (!(error instanceof Error && "syscall" in error)) throw error;
  console.error(`The directory cannot be inspected: ${error.message}.`);
  process.exitCode = 2;
}
