import type { Log } from "./log.ts";
import type { VolumeKeys } from "./volume-keys.ts";

/** What following the keys of a volume needs of its process. */
export interface KeyWatchOptions {
  readonly keys: VolumeKeys;
  readonly log: Log;
  /** Milliseconds between two looks whether the former key may go. */
  readonly lookMs: number;
  /** True when both peers hold the present key durably. */
  readonly told: () => boolean;
  /** Another key counts from now on. */
  readonly changed: (publicKey: string) => void;
  /** The keys that connections may have are others. */
  readonly use: () => void;
  readonly giveUp: (sentence: string) => void;
}

/** Follows a volume's key by the log, and destroys the former one when nobody asks for it. */
export class KeyWatch {
  private readonly options: KeyWatchOptions;
  private timer: NodeJS.Timeout | null = null;

  /** Looks at nothing before {@link look}. */
  constructor(options: KeyWatchOptions) {
    this.options = options;
  }

  /** What is executed of the log gives this replica that key. */
  follow(publicKey: string): void {
    const { keys, giveUp, changed, use } = this.options;
    if (keys.held(publicKey) === null) {
      const told = `The log gave this replica the key ${publicKey}, which is not on its volume`;
      giveUp(`${told}; replace the volume.`);
      return;
    }
    if (!keys.follow(publicKey)) return;
    this.options.log.info("key changed", { publicKey });
    changed(publicKey);
    use();
  }

  /** Looks now and then while there are two keys. */
  look(): void {
    const { keys, lookMs } = this.options;
    if (this.timer !== null || keys.next === null) return;
    this.timer = setInterval(() => this.settle(), lookMs);
    this.timer.unref();
  }

  private settle(): void {
    const { keys, log, told, use } = this.options;
    if (keys.switched && told()) {
      keys.settle();
      log.info("former key destroyed", { publicKey: keys.active?.key.publicKey });
      use();
    }
    if (keys.next !== null || this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
  }
}
