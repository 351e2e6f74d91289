import type { AdminClient } from "./admin-client.ts";

/** Which shard's machine is upgraded, and how long that may take. */
export interface UpgradeOptions {
  /** Admin ports of the three, by replica. */
  readonly admins: readonly AdminClient[];
  /** Milliseconds until it gives up; the same call later goes on where it stood. */
  readonly limitMs: number;
}

/** What came of it: the version that runs; `why` is a sentence for a person. */
export type UpgradeOutcome =
  | { readonly kind: "runs"; readonly version: number }
  | { readonly kind: "refused"; readonly why: string };

/** Milliseconds between two tries. */
const pauseMs = 50;

/**
 * Takes a shard to the newest version of the machine that all three builds run (rule A12). All
 * three must answer, certified; the primary decides, on what it heard from the others itself.
 */
export async function upgradeMachine(options: UpgradeOptions): Promise<UpgradeOutcome> {
  const { admins, limitMs } = options;
  const untilMs = performance.now() + limitMs;
  let why = "The shard has no primary.";
  while (performance.now() < untilMs) {
    const answers = await Promise.all(admins.map((admin) => admin.status()));
    const statuses = answers.flatMap((answer) => (answer.kind === "ok" ? [answer.value] : []));
    const leader = statuses.find(({ replica, primary, state }) => {
      return primary === replica && state === "normal";
    });
    if (statuses.length < admins.length) {
      why = "Not all replicas answer.";
    } else if (leader !== undefined) {
      const version = Math.min(...statuses.map(({ machine }) => machine.max));
      const running = leader.machine.version ?? version;
      if (running >= version) return { kind: "runs", version: running };
      const done = await admins[leader.replica]?.upgrade({ version });
      if (done?.kind === "ok") return { kind: "runs", version };
      if (done?.kind === "refused") why = done.detail;
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return { kind: "refused", why };
}
