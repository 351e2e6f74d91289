import { ChatMachine } from "#replica/machine/chat-machine.ts";
import type { Prepare } from "#replica/wire/prepare.ts";

/** The machine of a shard, which tells what it executes. */
export class WatchedMachine extends ChatMachine {
  /** Gets every op that was applied, with its replies. */
  executed: ((prepare: Prepare, replies: readonly Uint8Array[]) => void) | null = null;

  override apply(prepare: Prepare, blocks: readonly Uint8Array[]): readonly Uint8Array[] {
    const replies = super.apply(prepare, blocks);
    this.executed?.(prepare, replies);
    return replies;
  }
}
