import type { Stage } from "./stage.ts";

/** A claim about the stage; it may build on those that were shown before it. */
export interface Scenario {
  readonly name: string;
  readonly run: (stage: Stage) => Promise<void>;
}
