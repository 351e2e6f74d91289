import { setPriority } from "node:os";
import { parentPort, Worker } from "node:worker_threads";
import { treeHashes } from "#replica/crypto/sha256-lanes.ts";
import { TreeHasher } from "#replica/machine/tree-hasher.ts";
import type { TreeJob, TreeResult } from "#replica/machine/tree-job.ts";

/** What the process's own program is told when it is to be such a thread. */
export const treeThreadRole = "tigerchat-tree-thread";
/** Entries between two rests: about 0.2 ms of work. */
const sliceEntries = 64;
/**
 * After a slice the thread sleeps this long, ms. Otherwise, with fewer cores than threads, whoever
 * has a message to handle gets the core only when the kernel's time slice ends, up to 4 ms later;
 * in which there is room for many slices.
 */
const restMs = 0.1;
/**
 * Commits come first; but a checkpoint waits for the trees, and in the end requests for it, so that
 * the thread gets a tenth of a core also where others keep all of them busy.
 */
const niceness = 10;
/** Nobody ever wakes who waits here. */
const restPlace = new Int32Array(new SharedArrayBuffer(4));

/**
 * Hashes the trees in a thread of low priority, so that neither the event loop nor a peer's
 * waits for it. The entries are read where they lie; they never change.
 */
export class TreeThread {
  private readonly worker: Worker;
  /** What to do with the results, oldest job first. */
  private readonly waiting: ((result: TreeResult) => void)[] = [];

  /** `program`: the process's own; it calls {@link serveTrees} in a thread of that role. */
  constructor(program: string) {
    this.worker = new Worker(program, { workerData: treeThreadRole });
    this.worker.on("message", (result: TreeResult) => this.waiting.shift()?.(result));
    this.worker.on("error", (error) => {
      throw error;
    });
    // The process ends when it wants to; what is not hashed is hashed after the next start. Last,
    // because a listener holds the process.
    this.worker.unref();
  }

  /** Does a job; one or two of a replaced state may still be under way. */
  readonly hash = (job: TreeJob, done: (result: TreeResult) => void): void => {
    this.waiting.push(done);
    this.worker.postMessage(job);
  };
}

/** The thread's side: does what it is told, for ever. */
export function serveTrees(): void {
  // The priority of a process is that of a thread on Linux, and only there.
  if (process.platform === "linux") setPriority(niceness);
  const hasher = new TreeHasher(treeHashes);
  const port = parentPort;
  port?.on("message", (job: TreeJob) => {
    hasher.begin(job);
    for (;;) {
      const result = hasher.step(sliceEntries);
      Atomics.wait(restPlace, 0, 0, restMs);
      if (result === null) continue;
      port.postMessage(result, [result.numbers.buffer, result.bytes.buffer] as ArrayBuffer[]);
      return;
    }
  });
}
