import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { LoaderCommand, LoaderReport } from "./loader.ts";

/** The loader's process as the bench holds it. */
export class LoaderHandle {
  private readonly child: ChildProcess;
  private readonly waiting: ((report: LoaderReport) => void)[] = [];
  private readonly reports: LoaderReport[] = [];
  private gone = false;

  /** Starts the process. */
  constructor() {
    const path = fileURLToPath(new URL("./loader.ts", import.meta.url));
    this.child = fork(path, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.child.on("message", (report: LoaderReport) => {
      const wait = this.waiting.shift();
      if (wait === undefined) this.reports.push(report);
      else wait(report);
    });
    this.child.on("exit", () => {
      this.gone = true;
    });
  }

  /** Process id. */
  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Tells the loader something. */
  tell(command: LoaderCommand): void {
    this.child.send(command);
  }

  /** Waits for the next report of a kind. */
  async expect<K extends LoaderReport["kind"]>(
    kind: K,
    limitMs: number,
  ): Promise<Extract<LoaderReport, { kind: K }>> {
    const untilMs = performance.now() + limitMs;
    for (;;) {
      const report = this.reports.shift() ?? (await this.next(untilMs - performance.now()));
      if (report.kind === kind) return report as Extract<LoaderReport, { kind: K }>;
    }
  }

  /** Ends the process. */
  close(): void {
    if (!this.gone) this.child.kill("SIGKILL");
  }

  private next(limitMs: number): Promise<LoaderReport> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the loader says nothing")), limitMs);
      this.waiting.push((report) => {
        clearTimeout(timer);
        resolve(report);
      });
    });
  }
}
