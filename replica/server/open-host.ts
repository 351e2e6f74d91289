import type { Manifest } from "#replica/snapshot/manifest.ts";
import type { BlockAddress } from "#replica/snapshot/port.ts";
import type { HostOptions } from "./host-options.ts";
import { Host } from "./host.ts";
import { removeLeftovers } from "./leftovers.ts";
import { Opening } from "./opening.ts";
import { readKept, type Restored, restoreMachine } from "./restore-machine.ts";

type Opened = { readonly ok: true; readonly host: Host } | (Restored & { ok: false });

/**
 * Brings the machine to the recovered checkpoint and makes the host. `done` is called once. A part
 * of the checkpoint that is damaged is fetched from a peer first, when `ports.opening` is there;
 * that takes as long as it takes for a peer to be there.
 */
export function openHost(options: HostOptions, done: (opened: Opened) => void): void {
  const { storage, hash, genesisManifest, machine, recovered, ports } = options;
  const { checkpoint, kept } = recovered.superblock;
  const restore = { storage, hash, genesisManifest, checkpoint, sink: machine, later: ports.later };
  let opening: Opening | null = null;
  const mend = (address: BlockAddress, manifest: Manifest | null, lost: () => void): void => {
    if (ports.opening === undefined) {
      lost();
      return;
    }
    if (opening === null) {
      opening = new Opening(options);
      ports.opening(opening);
    }
    opening.mend(address, manifest, (whole) => {
      if (whole) attempt();
      else lost();
    });
  };
  const attempt = (): void => {
    restoreMachine(restore, (restored) => {
      if (restored.ok) {
        finish(restored);
        return;
      }
      const { damage } = restored;
      if (damage === null) done(restored);
      else mend(damage.address, damage.manifest, () => done(restored));
    });
  };
  const finish = (restored: Extract<Restored, { ok: true }>): void => {
    // Before the host exists nothing is being written, so what no manifest names is left over.
    readKept(restore, kept, (found) => {
      const manifests = [...found.map(({ manifest }) => manifest), restored.manifest];
      removeLeftovers(storage, manifests, () => {
        done({ ok: true, host: new Host(options, restored, found) });
      });
    });
  };
  attempt();
}
