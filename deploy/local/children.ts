import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { identityOf, type ProcessIdentity } from "./process-identity.ts";

/** A program that a run keeps alive. */
export interface ChildPlan {
  /** Name for people: `lobby-0`, `edge-1`. */
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** File that takes its output; appended. */
  readonly log: string;
}

const restartDelayMsFirst = 200;
const restartDelayMsMax = 5_000;
/** A child that ran this long before it ended is restarted without a longer wait. */
const healthyMs = 10_000;

interface Child {
  readonly plan: ChildPlan;
  process: ChildProcess | null;
  identity: ProcessIdentity | null;
  startedMs: number;
  delayMs: number;
  timer: NodeJS.Timeout | null;
  ends: number;
}

/**
 * Starts programs, restarts those that end, as a kubelet does, and stops all of them.
 * `onChange` is told the processes that run now, each time that one starts or ends.
 */
export class Children {
  private readonly children: Child[] = [];
  private readonly onChange: (running: readonly ProcessIdentity[]) => void;
  private stopping = false;

  constructor(onChange: (running: readonly ProcessIdentity[]) => void) {
    this.onChange = onChange;
  }

  /** Starts one program and keeps it running until {@link stop}. */
  start(plan: ChildPlan): void {
    const child: Child = {
      plan,
      process: null,
      identity: null,
      startedMs: 0,
      delayMs: restartDelayMsFirst,
      timer: null,
      ends: 0,
    };
    this.children.push(child);
    this.spawn(child);
  }

  /** Numbers of the running processes by name. */
  pids(): Readonly<Record<string, number>> {
    const entries = this.children.flatMap((child) =>
      child.identity === null ? [] : [[child.plan.name, child.identity.pid] as const],
    );
    return Object.fromEntries(entries);
  }

  /** How often a program has ended by itself. */
  endsOf(name: string): number {
    return this.children.find((child) => child.plan.name === name)?.ends ?? 0;
  }

  /**
   * Asks the children whose name matches to end, waits `graceMs`, then kills what is left.
   * Nothing is restarted from the first call on.
   */
  async stop(matches: (name: string) => boolean, graceMs: number): Promise<void> {
    this.stopping = true;
    const leaving = this.children.filter((child) => matches(child.plan.name));
    const gone = leaving.map((child) => this.end(child));
    const deadline = setTimeout(() => {
      for (const child of leaving) child.process?.kill("SIGKILL");
    }, graceMs);
    await Promise.all(gone);
    clearTimeout(deadline);
  }

  private end(child: Child): Promise<void> {
    if (child.timer !== null) clearTimeout(child.timer);
    const running = child.process;
    if (running === null) return Promise.resolve();
    return new Promise((resolve) => {
      running.once("exit", () => resolve());
      running.kill("SIGTERM");
    });
  }

  private spawn(child: Child): void {
    const output = openSync(child.plan.log, "a", 0o600);
    const started = spawn(process.execPath, child.plan.args, {
      env: { ...process.env, ...child.plan.env },
      stdio: ["ignore", output, output],
      // A terminal's Ctrl-C must reach this program only, which then stops edges before replicas.
      detached: true,
    });
    closeSync(output);
    child.process = started;
    child.startedMs = performance.now();
    child.identity = started.pid === undefined ? null : identityOf(started.pid);
    started.once("error", () => this.ended(child));
    started.once("exit", () => this.ended(child));
    this.report();
  }

  private ended(child: Child): void {
    if (child.process === null) return;
    child.process = null;
    child.identity = null;
    child.ends += 1;
    this.report();
    if (this.stopping) return;
    const ranMs = performance.now() - child.startedMs;
    child.delayMs = ranMs > healthyMs ? restartDelayMsFirst : child.delayMs;
    child.timer = setTimeout(() => this.spawn(child), child.delayMs);
    child.delayMs = Math.min(child.delayMs * 2, restartDelayMsMax);
  }

  private report(): void {
    this.onChange(this.children.flatMap((child) => child.identity ?? []));
  }
}
