import type { BlockAddress } from "#replica/snapshot/port.ts";
import type { Storage } from "#replica/wire/storage-port.ts";

/** Blocks of one read at most. */
const runMax = 16;

/**
 * Reads blocks, those that follow each other at once; `take` gets each with its index among
 * `addresses`, later and in any order. Null: absent or damaged.
 */
export function readRuns(
  storage: Storage,
  addresses: readonly BlockAddress[],
  take: (index: number, block: Uint8Array | null) => void,
): void {
  for (let start = 0; start < addresses.length; ) {
    const from = start;
    const first = addresses[from];
    if (first === undefined) return;
    let count = 0;
    while (follows(addresses[from + count], first, count)) count += 1;
    start += count;
    storage.readBlocks(first.segment, first.block, count, (run) => {
      run.forEach((block, i) => {
        take(from + i, block);
      });
    });
  }
}

function follows(address: BlockAddress | undefined, first: BlockAddress, by: number): boolean {
  if (address === undefined || by >= runMax) return false;
  return address.segment === first.segment && address.block === first.block + by;
}
