import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { manifestRoot } from "#replica/snapshot/manifest.ts";
import { sha256 } from "#replica/crypto/hash.ts";
import { FileVolume } from "#test/support/file-volume.ts";
import { HistoryWriter } from "./history-writer.ts";
import type { Report } from "./throughput.ts";

/** Options of one measurement. */
export interface HistoryOptions {
  readonly entries: number;
  readonly rooms: number;
  /** A directory that is kept and, when it is there already, used again. */
  readonly directory?: string;
  /** Afterwards also a state sync of it at this pace. */
  readonly syncMiBPerS?: number;
}

/** What a replica starts its own Node with (replica/server/main.ts). */
const replicaFlags = [
  ...["--initial-heap-size=256", "--min-semi-space-size=8", "--max-semi-space-size=8"],
  "--external-memory-accounted-in-global-limit",
  "--no-parallel-scavenge",
];
const replicaEnvironment = {
  UV_THREADPOOL_SIZE: "16",
  MALLOC_MMAP_THRESHOLD_: String(32 * 1024 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(256 * 1024 * 1024),
  MALLOC_TOP_PAD_: String(4 * 1024 * 1024),
};

async function generate(options: HistoryOptions, directory: string): Promise<void> {
  const volume = new FileVolume(directory);
  const formatted = await volume.format(32);
  assert.ok(formatted.ok);
  const opened = await volume.open();
  assert.ok(opened.ok);
  const manifest = await new HistoryWriter(opened.storage, options).write();
  const about = { root: manifestRoot(manifest, sha256), bytes: manifest.length };
  await volume.close();
  writeFileSync(join(directory, "history.json"), JSON.stringify(about));
}

/**
 * Makes a replica's data directory of that size, opens it in a fresh process as at a start, reads
 * pages anywhere, writes one checkpoint of many rooms.
 */
export async function runHistory(options: HistoryOptions): Promise<Report> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "history-"));
  mkdirSync(directory, { recursive: true });
  const about = join(directory, "history.json");
  const startMs = performance.now();
  if (!existsSync(about)) await generate(options, directory);
  const generateSeconds = Math.round((performance.now() - startMs) / 1000);
  const { root, bytes } = JSON.parse(readFileSync(about, "utf8")) as Record<string, unknown>;
  const path = fileURLToPath(new URL("./history-reader.ts", import.meta.url));
  const flags = ["--expose-gc", ...replicaFlags, ...process.execArgv];
  const args = [...flags, path, directory, String(root), String(bytes)];
  const env = { ...process.env, ...replicaEnvironment };
  const output = execFileSync(process.execPath, args, { encoding: "utf8", env });
  const json: Record<string, unknown> = { generateSeconds, ...JSON.parse(output) };
  if (options.syncMiBPerS !== undefined) {
    const target = mkdtempSync(`${directory}-sync-`);
    const sync = fileURLToPath(new URL("./history-sync.ts", import.meta.url));
    const limit = String(options.syncMiBPerS * 1024 * 1024);
    const about = [directory, target, String(root), String(bytes), limit];
    const synced = execFileSync(process.execPath, [...flags, sync, ...about], {
      encoding: "utf8",
      env,
    });
    json["sync"] = JSON.parse(synced);
    rmSync(target, { recursive: true });
  }
  if (options.directory === undefined) rmSync(directory, { recursive: true });
  const lines = Object.entries(json).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  return { table: lines.join("\n"), json };
}
