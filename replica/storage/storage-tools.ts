import type { Vault } from "#replica/crypto/vault.ts";
import type { JournalTools } from "#replica/journal/journal-tools.ts";
import type { Disk } from "#replica/wire/storage-port.ts";

/** What storage stands on: files, keys and clock in production, their fakes in the simulator. */
export interface StorageTools extends JournalTools {
  readonly disk: Disk;
  readonly vault: Vault;
  /** Calls `run` once, after this call, within about 10 ms: groups identifier writes. */
  readonly later: (run: () => void) => void;
  /** Called once: a write failed, the volume is lost, the process must stop. */
  readonly poisoned: (why: string) => void;
  /** Bytes of a WAL slot; walSlotBytes unless a simulator shrinks it. Whole units. */
  readonly slotBytes?: number;
}

/** Why a volume is not opened. `message` is one sentence for a person, remedy included. */
export interface Refusal {
  readonly ok: false;
  readonly code: /** Nothing was ever formatted here: serve the admin port and wait for genesis. */
    | "unformatted"
    /** A format that did not finish: it may be run again. */
    | "half_formatted"
    | "already_formatted"
    | "wrong_volume"
    | "fork"
    | "old_format"
    | "corrupt_superblock"
    | "corrupt_log"
    | "poisoned"
    | "wrong_key"
    | "io";
  /** Name of the file within the data directory. */
  readonly file: string;
  /** Byte in that file. */
  readonly offset: number;
  readonly message: string;
}
