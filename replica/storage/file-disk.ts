import {
  close,
  closeSync,
  constants,
  existsSync,
  fsync,
  fsyncSync,
  mkdirSync,
  open,
  openSync,
  read,
  readdir,
  readdirSync,
  unlink,
  write,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { assert } from "#replica/base/assert.ts";
import { diskUnitBytes } from "#replica/base/limits.ts";
import type { Disk, WriteMode, Zone } from "#replica/wire/storage-port.ts";
import { DirectoryLock } from "./directory-lock.ts";
import { zoneName } from "./volume.ts";

const { O_CREAT, O_DSYNC, O_RDONLY, O_RDWR, O_TRUNC } = constants;
const zones = ["superblock", "prepares", "identifiers"] as const;
const segmentsName = "segments";
/** Open segment files at most. */
const segmentFilesMax = 64;
/** Zeros of one write of a new file: large enough that the device, not the call, sets the pace. */
const zeros = new Uint8Array(1024 * 1024);
/** A write that held up the caller for longer, ms, was too slow: the next ones are queued. */
const blockingMsMax = 2;
/** Writes that are queued after one that was too slow. */
const queuedAfterSlow = 64;
/** Milliseconds until a segment that found no room is tried again. */
const fullRetryMs = 1000;

/** Where a replica's files are. */
export interface FileDiskOptions {
  /** The data directory; made when absent. */
  readonly directory: string;
  /** True: no lock, nothing is created, every write is refused (inspect). */
  readonly readOnly?: boolean;
  /** Called each time a segment waits because the file system has no room. */
  readonly full?: (message: string) => void;
}

/** Why a directory is not opened; `message` is one sentence for a person. */
export interface FileDiskRefusal {
  readonly ok: false;
  readonly code: "locked" | "io";
  readonly message: string;
}

interface OpenFile {
  readonly fd: number;
  /** Calls that use the descriptor now: it is closed only at 0. */
  uses: number;
  /** True once the file was removed, replaced or evicted. */
  gone: boolean;
}

/** Files of a data directory: O_DSYNC positional writes, one libuv job each, under a lock. */
export class FileDisk implements Disk {
  readonly directory: string;
  private readonly lock: DirectoryLock | null;
  /** By path; segment files leave when there are too many, in order of their last use. */
  private readonly files = new Map<string, OpenFile>();
  /** Made once: a write must not spend its time on joining names. */
  private readonly paths: Readonly<Record<(typeof zones)[number], string>>;
  private readonly full: (message: string) => void;
  private readonly waiting = new Set<ReturnType<typeof setTimeout>>();
  /** Segments of before the start that were not synced yet: each is, before it is first used. */
  private readonly unsynced: Set<string>;
  /** Segments whose sync failed: nothing of them is read or written any more. */
  private readonly lost = new Set<string>();
  private calls = 0;
  /** Writes that are still queued, whatever their mode, since one was slow. */
  private queuedLeft = 0;
  private whenIdle: (() => void) | null = null;

  private constructor(
    options: FileDiskOptions,
    lock: DirectoryLock | null,
    unsynced: readonly string[],
  ) {
    this.unsynced = new Set(unsynced);
    const { directory } = options;
    this.directory = directory;
    this.paths = {
      superblock: join(directory, "superblock"),
      prepares: join(directory, "prepares"),
      identifiers: join(directory, "identifiers"),
    };
    this.full = options.full ?? (() => undefined);
    this.lock = lock;
  }

  /** Locks the directory; every file is synced before anything is read from it. */
  static open(options: FileDiskOptions): FileDisk | FileDiskRefusal {
    const { directory } = options;
    if (options.readOnly === true) return new FileDisk(options, null, []);
    try {
      mkdirSync(join(directory, segmentsName), { recursive: true, mode: 0o700 });
      const lock = DirectoryLock.take(directory);
      if (typeof lock === "string") return { ok: false, code: "locked", message: lock };
      const segments = join(directory, segmentsName);
      const zonePaths = zones.map((zone) => join(directory, zone));
      for (const path of [...zonePaths, segments, directory]) syncNow(path);
      const names = readdirSync(segments).map((name) => join(segments, name));
      return new FileDisk(options, lock, names);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const message = `${directory} cannot be used: ${why}. Look at the disk and its permissions.`;
      return { ok: false, code: "io", message };
    }
  }

  write(
    zone: Zone,
    offset: number,
    bytes: Uint8Array,
    done: (r: "ok" | "error") => void,
    mode: WriteMode = "queued",
  ): void {
    assert(bytes.length > 0, "STO-09: a write has bytes");
    if (zone.kind !== "segment") {
      assert(offset % diskUnitBytes === 0, "STO-09: whole units");
      assert(bytes.length % diskUnitBytes === 0, "STO-09: whole units");
    }
    const finish = this.begin(done);
    if (mode === "now" && this.queuedLeft > 0) this.queuedLeft -= 1;
    this.withFile(zone, (file) => {
      if (file === null || this.lock === null) finish("error");
      else if (mode === "now" && this.queuedLeft === 0) this.writeNow(file, bytes, offset, finish);
      else this.writeFile(zone, file, bytes, offset, finish);
    });
  }

  /** One synchronous call: a short write counts as failed, it never happens to a whole file. */
  private writeNow(
    file: OpenFile,
    bytes: Uint8Array,
    offset: number,
    finish: (r: "ok" | "error") => void,
  ): void {
    const startMs = performance.now();
    let result: "ok" | "error" = "error";
    try {
      if (writeSync(file.fd, bytes, 0, bytes.length, offset) === bytes.length) result = "ok";
    } catch {
      // Told as every failed write: the volume is poisoned, nothing is tried again.
    }
    if (performance.now() - startMs > blockingMsMax) this.queuedLeft = queuedAfterSlow;
    process.nextTick(finish, result);
  }

  /**
   * A full file system took nothing, so the write is not a failed one: segments wait for room. The
   * rings never meet this, they have all their blocks from the format.
   */
  private writeFile(
    zone: Zone,
    file: OpenFile,
    bytes: Uint8Array,
    offset: number,
    finish: (r: "ok" | "error") => void,
  ): void {
    writeAll(file, bytes, 0, offset, (result) => {
      if (result !== "full") finish(result);
      else if (zone.kind !== "segment") finish("error");
      else this.wait(zone, () => this.writeFile(zone, file, bytes, offset, finish));
    });
  }

  private wait(zone: Zone, again: () => void): void {
    this.full(`${this.directory}: no room for ${zoneName(zone)}; waiting for space.`);
    const timer = setTimeout(() => {
      this.waiting.delete(timer);
      again();
    }, fullRetryMs);
    this.waiting.add(timer);
  }

  read(zone: Zone, offset: number, length: number, done: (b: Uint8Array | null) => void): void {
    const finish = this.begin(done);
    const bytes = new Uint8Array(length);
    const path = this.path(zone);
    if (!this.files.has(path) && !existsSync(path)) {
      setImmediate(finish, bytes);
      return;
    }
    this.withFile(zone, (file) => {
      if (file === null) finish(null);
      else readAll(file, bytes, 0, offset, (sound) => finish(sound ? bytes : null));
    });
  }

  create(zone: Zone, bytes: number, done: (r: "ok" | "error") => void): void {
    assert(bytes % diskUnitBytes === 0, "STO-09: whole units");
    const finish = this.begin(done);
    const path = this.path(zone);
    this.forget(path);
    this.unsynced.delete(path);
    this.createFile(zone, path, bytes, finish);
  }

  private createFile(
    zone: Zone,
    path: string,
    bytes: number,
    finish: (r: "ok" | "error") => void,
  ): void {
    open(path, O_CREAT | O_TRUNC | O_RDWR, 0o600, (error, fd) => {
      if (error !== null || this.lock === null) {
        if (error?.code !== "ENOSPC" || zone.kind !== "segment") finish("error");
        else this.wait(zone, () => this.createFile(zone, path, bytes, finish));
        return;
      }
      fillZeros(fd, 0, bytes, (sound) => {
        close(fd, () => {
          if (sound) this.syncParent(zone, finish);
          else finish("error");
        });
      });
    });
  }

  remove(zone: Zone, done: (r: "ok" | "error") => void): void {
    assert(zone.kind === "segment", "STO-09: only segments are removed");
    const finish = this.begin(done);
    const path = this.path(zone);
    this.forget(path);
    unlink(path, (error) => {
      if (error !== null && error.code !== "ENOENT") finish("error");
      else this.syncParent(zone, finish);
    });
  }

  listSegments(done: (ids: readonly string[] | null) => void): void {
    const finish = this.begin(done);
    readdir(join(this.directory, segmentsName), (error, names) => {
      if (error !== null) finish(error.code === "ENOENT" ? [] : null);
      else finish(names.filter((name) => /^[a-z0-9-]{1,40}$/.test(name)).sort());
    });
  }

  /** Waits for calls in flight, closes the files, frees the lock. */
  close(done: () => void): void {
    const finish = (): void => {
      for (const file of this.files.values()) closeSync(file.fd);
      this.files.clear();
      this.lock?.release();
      done();
    };
    // What waits for room will never complete: the process is stopping.
    this.calls -= this.waiting.size;
    for (const timer of this.waiting) clearTimeout(timer);
    this.waiting.clear();
    if (this.calls === 0) setImmediate(finish);
    else this.whenIdle = finish;
  }

  private begin<T>(done: (result: T) => void): (result: T) => void {
    this.calls += 1;
    return (result) => {
      this.calls -= 1;
      done(result);
      if (this.calls > 0 || this.whenIdle === null) return;
      const idle = this.whenIdle;
      this.whenIdle = null;
      idle();
    };
  }

  private path(zone: Zone): string {
    if (zone.kind !== "segment") return this.paths[zone.kind];
    assert(/^[a-z0-9-]{1,40}$/.test(zone.id), "STO-09: id of a segment");
    return join(this.directory, zoneName(zone));
  }

  private withFile(zone: Zone, use: (file: OpenFile | null) => void): void {
    const path = this.path(zone);
    const known = this.files.get(path);
    if (known !== undefined) {
      if (zone.kind === "segment") {
        this.files.delete(path);
        this.files.set(path, known);
      }
      use(known);
      return;
    }
    const flags = this.lock === null ? O_RDONLY : O_RDWR | O_DSYNC;
    open(path, flags, (error, fd) => {
      if (error !== null || this.lost.has(path)) {
        if (error === null) close(fd);
        use(null);
      } else if (this.unsynced.has(path)) {
        fsync(fd, (failed) => {
          this.unsynced.delete(path);
          // A sync that failed is never tried again: what it left out would count as written.
          if (failed !== null) this.lost.add(path);
          this.opened(path, fd, use);
        });
      } else this.opened(path, fd, use);
    });
  }

  private opened(path: string, fd: number, use: (file: OpenFile | null) => void): void {
    const raced = this.files.get(path);
    if (raced !== undefined || this.lost.has(path)) {
      close(fd);
      use(this.lost.has(path) ? null : (raced ?? null));
      return;
    }
    const file = { fd, uses: 0, gone: false };
    this.files.set(path, file);
    // First the use: a file in use is never the one to be closed.
    use(file);
    this.evict();
  }

  private evict(): void {
    if (this.files.size <= segmentFilesMax + zones.length) return;
    for (const [path, file] of this.files) {
      if (file.uses > 0 || !path.includes(`/${segmentsName}/`)) continue;
      this.forget(path);
      return;
    }
  }

  private forget(path: string): void {
    const file = this.files.get(path);
    if (file === undefined) return;
    this.files.delete(path);
    file.gone = true;
    if (file.uses === 0) closeSync(file.fd);
  }

  private syncParent(zone: Zone, done: (r: "ok" | "error") => void): void {
    const parent = zone.kind === "segment" ? join(this.directory, segmentsName) : this.directory;
    open(parent, O_RDONLY, (error, fd) => {
      if (error !== null) {
        done("error");
        return;
      }
      fsync(fd, (failed) => close(fd, () => done(failed === null ? "ok" : "error")));
    });
  }
}

function syncNow(path: string): void {
  if (!existsSync(path)) return;
  const fd = openSync(path, O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function release(file: OpenFile): void {
  file.uses -= 1;
  if (file.gone && file.uses === 0) closeSync(file.fd);
}

function writeAll(
  file: OpenFile,
  bytes: Uint8Array,
  start: number,
  offset: number,
  done: (r: "ok" | "error" | "full") => void,
): void {
  file.uses += 1;
  write(file.fd, bytes, start, bytes.length - start, offset + start, (error, written) => {
    release(file);
    if (error !== null) done(error.code === "ENOSPC" ? "full" : "error");
    else if (written === 0) done("error");
    else if (start + written === bytes.length) done("ok");
    else writeAll(file, bytes, start + written, offset, done);
  });
}

function readAll(
  file: OpenFile,
  bytes: Uint8Array,
  start: number,
  offset: number,
  done: (sound: boolean) => void,
): void {
  file.uses += 1;
  read(file.fd, bytes, start, bytes.length - start, offset + start, (error, count) => {
    release(file);
    if (error !== null) done(false);
    else if (count === 0 || start + count === bytes.length) done(true);
    else readAll(file, bytes, start + count, offset, done);
  });
}

function fillZeros(
  fd: number,
  offset: number,
  bytes: number,
  done: (sound: boolean) => void,
): void {
  if (offset >= bytes) {
    fsync(fd, (error) => done(error === null));
    return;
  }
  const length = Math.min(zeros.length, bytes - offset);
  write(fd, zeros, 0, length, offset, (error, written) => {
    if (error !== null || written === 0) done(false);
    else fillZeros(fd, offset + written, bytes, done);
  });
}
