import type { HostOptions } from "./host-options.ts";
import { Host } from "./host.ts";
import { removeLeftovers } from "./leftovers.ts";
import { readKept, type Restored, restoreMachine } from "./restore-machine.ts";

/** Brings the machine to the recovered checkpoint and makes the host. `done` is called once. */
export function openHost(
  options: HostOptions,
  done: (opened: { readonly ok: true; readonly host: Host } | (Restored & { ok: false })) => void,
): void {
  const { storage, hash, genesisManifest, machine, recovered } = options;
  const { checkpoint, kept } = recovered.superblock;
  const { later } = options.ports;
  const restore = { storage, hash, genesisManifest, checkpoint, sink: machine, later };
  restoreMachine(restore, (restored) => {
    if (!restored.ok) return done(restored);
    // Before the host exists nothing is being written, so what no manifest names is left over.
    readKept(restore, kept, (found) => {
      const manifests = [...found.map(({ manifest }) => manifest), restored.manifest];
      removeLeftovers(storage, manifests, () => {
        done({ ok: true, host: new Host(options, restored, found) });
      });
    });
  });
}
