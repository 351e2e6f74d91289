import type { Prng } from "#replica/base/prng.ts";
import type { Disk, Zone } from "#replica/wire/storage-port.ts";

const unitBytes = 4096;

interface PendingWrite {
  readonly name: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

type Task = { readonly run: () => void; readonly write: PendingWrite | null };

/**
 * A disk in memory whose calls complete one at a time when the test says so. A write reaches the
 * durable bytes only with its completion; a crash lets each unit of a pending write land or not.
 */
export class CrashDisk implements Disk {
  /** Durable content by file name. */
  readonly files = new Map<string, Uint8Array>();
  /** Files whose writes fail from now on. */
  readonly writeFails = new Set<string>();
  /** Byte ranges, as `file:offset`, whose reads the device refuses. */
  readonly readFails = new Set<string>();
  /** Completed writes, for tests that count. */
  writes = 0;
  /** True: what was deferred waits for {@link releaseDeferred}. */
  holdDeferred = false;
  private tasks: Task[] = [];
  private held: (() => void)[] = [];

  private name(zone: Zone): string {
    return zone.kind === "segment" ? `segments/${zone.id}` : zone.kind;
  }

  /** Something that happens later, in order with the disk's completions. */
  later(run: () => void): void {
    this.tasks.push({ run, write: null });
  }

  /** Storage's `later`: like {@link later}, but a test may hold it back. */
  defer(run: () => void): void {
    if (this.holdDeferred) this.held.push(run);
    else this.later(run);
  }

  /** Runs what was held back, at once. */
  releaseDeferred(): void {
    this.holdDeferred = false;
    for (const run of this.held.splice(0)) run();
  }

  write(zone: Zone, offset: number, bytes: Uint8Array, done: (r: "ok" | "error") => void): void {
    const write = { name: this.name(zone), offset, bytes: bytes.slice() };
    const run = (): void => {
      if (this.writeFails.has(write.name)) {
        done("error");
        return;
      }
      this.writes += 1;
      this.land(write, () => true);
      done("ok");
    };
    this.tasks.push({ run, write });
  }

  read(zone: Zone, offset: number, length: number, done: (b: Uint8Array | null) => void): void {
    const name = this.name(zone);
    this.later(() => {
      for (const fault of this.readFails) {
        const [file, at] = fault.split(":");
        if (file === name && Number(at) >= offset && Number(at) < offset + length) {
          done(null);
          return;
        }
      }
      const bytes = new Uint8Array(length);
      bytes.set((this.files.get(name) ?? bytes).subarray(offset, offset + length));
      done(bytes);
    });
  }

  create(zone: Zone, bytes: number, done: (r: "ok" | "error") => void): void {
    this.later(() => {
      this.files.set(this.name(zone), new Uint8Array(bytes));
      done("ok");
    });
  }

  remove(zone: Zone, done: (r: "ok" | "error") => void): void {
    this.later(() => {
      this.files.delete(this.name(zone));
      done("ok");
    });
  }

  listSegments(done: (ids: readonly string[] | null) => void): void {
    const names = [...this.files.keys()].filter((name) => name.startsWith("segments/"));
    this.later(() => done(names.map((name) => name.slice("segments/".length))));
  }

  /** Completes the oldest call; false when there is none. */
  step(): boolean {
    const task = this.tasks.shift();
    task?.run();
    return task !== undefined;
  }

  /** Completes any one call: the disk may reorder. */
  stepAny(prng: Prng): boolean {
    if (this.tasks.length === 0) return false;
    const [task] = this.tasks.splice(prng.below(this.tasks.length), 1);
    task?.run();
    return true;
  }

  /** Completes calls until none is left. */
  settle(): void {
    for (let i = 0; i < 1_000_000; i += 1) if (!this.step()) return;
    throw new Error("the disk never becomes idle");
  }

  /**
   * Loses the process and the power: units of pending writes land by `lands`, calls are gone.
   * "half": the disk is worse than promised and cuts inside a unit.
   */
  crash(lands: () => boolean | "half"): void {
    const tasks = this.tasks;
    this.tasks = [];
    this.held = [];
    this.holdDeferred = false;
    for (const task of tasks) if (task.write !== null) this.land(task.write, lands);
  }

  /** A copy of everything durable. */
  snapshot(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.files].map(([name, bytes]) => [name, bytes.slice()]));
  }

  /** Puts a copy back. */
  restore(files: ReadonlyMap<string, Uint8Array>): void {
    this.files.clear();
    for (const [name, bytes] of files) this.files.set(name, bytes.slice());
  }

  private land(write: PendingWrite, lands: () => boolean | "half"): void {
    const { name, offset, bytes } = write;
    for (let at = 0; at < bytes.length; at += unitBytes) {
      const landed = lands();
      if (landed === false) continue;
      const length = landed === "half" ? unitBytes / 2 : unitBytes;
      const piece = bytes.subarray(at, Math.min(at + length, bytes.length));
      const end = offset + at + piece.length;
      let file = this.files.get(name) ?? new Uint8Array(0);
      if (file.length < end) {
        const longer = new Uint8Array(end);
        longer.set(file);
        file = longer;
        this.files.set(name, file);
      }
      file.set(piece, offset + at);
    }
  }
}
