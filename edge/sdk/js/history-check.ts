import { ChatError, tokenError } from "./chat-error.ts";
import { HistoryFork } from "./log-pin.ts";
import type { LogPin } from "./log-pin.ts";
import { KeysChanged, ProofError } from "./receipt.ts";
import type { ProvenCheckpoint } from "./receipt.ts";
import type { LogCheckpoint, RoomOptions } from "./types.ts";

/** Checkpoints that come within this time of the last check are not checked: each costs a call. */
export const checkPauseMs = 60_000;

/** What the check needs of its room. */
export interface HistoryPort {
  /** Monotonic. */
  nowMs(): number;
  /** The answer to a call about the room, beside the socket. */
  get(call: string, query: Readonly<Record<string, number>>): Promise<string>;
  /** The log was forked: the room is over. */
  forked(error: ChatError): void;
}

/** Holds a room's shard to what is pinned of its log: at each attach and as checkpoints come. */
export class HistoryCheck {
  private readonly options: RoomOptions;
  private readonly port: HistoryPort;
  private checkedMs = Number.NEGATIVE_INFINITY;

  /** `options`: whose pin it is, and whom to tell. */
  constructor(options: RoomOptions, port: HistoryPort) {
    this.options = options;
    this.port = port;
  }

  /** The room is attached. */
  attached(): void {
    this.checkPinned(null);
  }

  /** The edge pushed a checkpoint. */
  pushed(checkpoint: LogCheckpoint): void {
    this.options.onCheckpoint?.(checkpoint);
    if (this.port.nowMs() - this.checkedMs >= checkPauseMs) this.checkPinned(checkpoint.note);
  }

  /** `note`: a checkpoint that came by itself; null = the newest is asked for. */
  async check(pin: LogPin, note: string | null): Promise<ProvenCheckpoint> {
    try {
      return await pin.advance({
        checkpoint: async () => note ?? (await this.port.get("checkpoint", {})),
        consistency: (from) => this.port.get("consistency", { from }),
        keys: () => this.port.get("keys", {}),
      });
    } catch (error) {
      if (error instanceof HistoryFork) this.port.forked(forkError(error.message));
      throw error;
    }
  }

  // A fork stops the room; what could not be asked now is asked at the next attach or checkpoint.
  private checkPinned(note: string | null): void {
    const { pin } = this.options;
    if (pin === undefined) return;
    this.checkedMs = this.port.nowMs();
    this.check(pin, note).then(
      (proven) => this.options.onVerified?.(proven),
      (error: unknown) => this.failed(error),
    );
  }

  private failed(error: unknown): void {
    // Not a minute from now: the next checkpoint may be proved.
    this.checkedMs = Number.NEGATIVE_INFINITY;
    if (error instanceof HistoryFork) this.options.onError?.(forkError(error.message));
    else if (error instanceof ProofError) this.options.onError?.(unproved(error));
    else this.options.onError?.(error instanceof ChatError ? error : tokenError(error));
  }
}

/** Nothing is refuted: what comes next may be proved, or the keys are trusted anew. */
function unproved(error: ProofError): ChatError {
  const name = error instanceof KeysChanged ? "KEYS_CHANGED" : "NOT_PROVED";
  return new ChatError({ code: 409, name, message: error.message, retryable: true });
}

function forkError(message: string): ChatError {
  return new ChatError({ code: 409, name: "HISTORY_FORK", message, retryable: false });
}
