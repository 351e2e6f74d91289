import { pipelineMax, sessionsMax } from "#replica/base/limits.ts";
import { Violation } from "./subject.ts";

/** Elements of one container of a replica at most where nothing tighter is known. */
const containerMax = 4096;
/** How deep containers are looked for in a replica's objects. */
const depthMax = 4;

/** Tighter bounds by the name of the member. */
const bounds: ReadonlyMap<string, number> = new Map([
  ["votes", 2],
  ["checkpoints", 4],
  ["viewHeaders", 2 * pipelineMax + 2],
  ["registering", sessionsMax],
  ["suffixReads", pipelineMax],
  ["effects", 256],
  ["begun", 3],
  ["repairs", 64],
  ["owners", 64],
  ["inFlight", 8],
  ["out", 8],
]);

/** Checker 13: no queue, map or pool of a replica passes its constant, whatever befalls it. */
export class Bounds {
  /** Containers looked at. */
  looked = 0;

  /** Looks at every container that a replica's objects own. */
  check(replica: number, root: object): void {
    const seen = new Set<object>();
    this.walk(replica, root, "", 0, seen);
  }

  private walk(replica: number, at: object, path: string, depth: number, seen: Set<object>): void {
    if (depth > depthMax || seen.has(at)) return;
    seen.add(at);
    for (const [name, value] of Object.entries(at) as [string, unknown][]) {
      if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) continue;
      const where = `${path}.${name}`;
      const size = sizeOf(value);
      if (size === null) {
        this.walk(replica, value, where, depth + 1, seen);
        continue;
      }
      this.looked += 1;
      const max = bounds.get(name) ?? containerMax;
      if (size > max) throw new Violation(`13 bounds: ${where} has ${size} (replica ${replica})`);
    }
  }
}

function sizeOf(value: object): number | null {
  if (value instanceof Map || value instanceof Set) return value.size;
  return Array.isArray(value) ? value.length : null;
}
