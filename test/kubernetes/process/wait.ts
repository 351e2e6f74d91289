/** Resolves after `ms` milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Pace of a wait, and what to add to its message when it fails. */
export interface WaitOptions {
  /** 100 ms unless given. */
  readonly intervalMs?: number;
  /** Called once on failure: the state or log that explains it. */
  readonly explain?: () => string;
  /** Checked before each try; a text ends the wait at once with that reason. */
  readonly abort?: () => string | undefined;
}

/**
 * Asks `probe` until it returns something other than `undefined` and `false`, at most `timeoutMs`
 * long.
 * A probe that throws counts as "not yet"; its last message is part of the failure.
 */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  probe: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const until = performance.now() + timeoutMs;
  let last = "";
  for (;;) {
    const reason = options.abort?.();
    if (reason !== undefined)
      throw failure(`Gave up waiting for ${what}: ${reason}`, last, options);
    try {
      const value = await probe();
      if (isAnswer(value)) return value;
      last = "";
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (performance.now() >= until) {
      throw failure(`Waited ${timeoutMs} ms in vain for ${what}.`, last, options);
    }
    await sleep(options.intervalMs ?? 100);
  }
}

function isAnswer<T>(value: T): value is Exclude<T, undefined | false> {
  return value !== undefined && value !== false;
}

function failure(headline: string, last: string, options: WaitOptions): Error {
  const lines = [headline];
  if (last !== "") lines.push(`Last error: ${last}`);
  const explained = options.explain?.() ?? "";
  if (explained !== "") lines.push(explained);
  return new Error(lines.join("\n"));
}
