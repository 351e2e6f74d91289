import {
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { AuditMemory } from "#replica/audit/audit-memory.ts";
import type { Log } from "./log.ts";
import { readText, replaceFile } from "./durable-file.ts";

const consequence = "lines wait in memory only";

/**
 * `audit-waiting` of a data directory: lines that are not in the audit room yet. A record is with
 * the kernel when `append` returns, so it outlives a kill; a sync follows off the event loop. A
 * disk that refuses is told of and the lines wait in memory alone: no shard stops for its log.
 */
export class AuditFile implements AuditMemory {
  readonly records: string;
  private readonly path: string;
  private readonly log: Log;
  private file: number;
  private syncing = false;
  private unsynced = false;
  private failed = false;
  private closed = false;

  /** Makes the file when there is none; null, and told of, when the disk refuses. */
  static open(data: string, log: Log): AuditFile | null {
    try {
      return new AuditFile(join(data, "audit-waiting"), log);
    } catch (error) {
      log.warn("audit_file_failed", { why: String(error), consequence });
      return null;
    }
  }

  private constructor(path: string, log: Log) {
    this.path = path;
    this.log = log;
    if (readText(this.path) === null) replaceFile(this.path, "", 0o600);
    this.records = readFileSync(this.path, "utf8");
    this.file = openSync(this.path, "a");
  }

  append(record: string): void {
    this.attempt(() => {
      writeSync(this.file, record);
      this.unsynced = true;
      this.sync();
    });
  }

  replace(records: string): void {
    this.attempt(() => {
      if (records === "") {
        // Nothing waits: what a power cut brings back is known to the room by its keys.
        ftruncateSync(this.file);
        return;
      }
      replaceFile(this.path, records, 0o600);
      const before = this.file;
      this.file = openSync(this.path, "a");
      if (!this.syncing) closeSync(before);
    });
  }

  /** Makes what was appended durable; nothing is remembered after it. */
  close(): void {
    if (this.closed) return;
    this.attempt(() => fsyncSync(this.file));
    this.closed = true;
    if (!this.syncing) closeSync(this.file);
  }

  private sync(): void {
    if (this.syncing || !this.unsynced) return;
    this.syncing = true;
    this.unsynced = false;
    const { file } = this;
    fdatasync(file, (error) => {
      this.syncing = false;
      if (error !== null) this.fail(error);
      if (this.closed || file !== this.file) closeSync(file);
      else this.sync();
    });
  }

  private attempt(act: () => void): void {
    if (this.failed || this.closed) return;
    try {
      act();
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    this.failed = true;
    const why = error instanceof Error ? error.message : String(error);
    this.log.warn("audit_file_failed", { why, consequence });
  }
}
