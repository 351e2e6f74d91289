import type { KeysCopy } from "./sim-keys.ts";
import { SimKeys } from "./sim-keys.ts";
import type { NodeWorld } from "./node-world.ts";

/** The data keys of one computer as its volume was formatted: faults of the swarm. */
export function nodeKeys(
  replica: number,
  world: NodeWorld,
  later: (delayMs: number, run: () => void) => void,
  copy: KeysCopy,
): SimKeys {
  const keys = new SimKeys({
    replica,
    prng: world.keysPrng.fork(),
    kekFile: world.kekFile,
    faults: world.swarm.keyFaults,
    writeMs: world.swarm.disk.meanMs,
    active: () => world.keysFail && !world.atlas.calm,
    secret: () => world.secret(),
    later,
    sealed: (secret, counter) => world.judges.nonces.sealed(secret, counter),
    count: (what) => world.coverage.add(what),
  });
  keys.restore(copy);
  return keys;
}
