import type { Opening } from "#replica/server/opening.ts";

/** Between two looks at what an opening waits for, ms. */
const lookMs = 25;

/** Gives an opening its turns for as long as the process waits for it. */
export function tendOpening(
  opening: Opening,
  node: { readonly nowMs: number; later(delayMs: number, run: () => void): void },
  waits: () => boolean,
): void {
  const look = (): void => {
    if (!waits()) return;
    if (node.nowMs >= opening.deadlineMs) opening.onTimer();
    node.later(lookMs, look);
  };
  look();
}
