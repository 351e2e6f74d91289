import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/**
 * Exclusive use of a data directory. Node has no flock, but SQLite's exclusive transaction takes an
 * fcntl lock on the file `lock`: the kernel frees it with the process, kill -9 included, and sees
 * through pid namespaces, so no stale lock can exist. The file stays empty; `lock-owner` is only
 * for the message.
 */
export class DirectoryLock {
  private readonly database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.database = database;
  }

  /** The lock, or a sentence that says who holds it. */
  static take(directory: string): DirectoryLock | string {
    const owner = join(directory, "lock-owner");
    let database: DatabaseSync | null = null;
    try {
      database = new DatabaseSync(join(directory, "lock"));
      database.exec("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE");
    } catch (error) {
      database?.close();
      const why = error instanceof Error ? error.message : String(error);
      if (!why.includes("locked")) return `lock: ${why}`;
      return `lock: another process (${readOwner(owner)}) uses ${directory}; stop it first.`;
    }
    noteOwner(owner);
    return new DirectoryLock(database);
  }

  /** Frees the directory. */
  release(): void {
    this.database.close();
  }
}

/** Only for a message, so a full disk does not keep a replica from its start. */
function noteOwner(file: string): void {
  try {
    writeFileSync(file, `pid ${process.pid}\n`, { mode: 0o600 });
  } catch {
    // The lock is held; who reads of it later sees the former owner or none.
  }
}

function readOwner(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "unknown";
  }
}
