import type { HistoryState } from "./room-store.ts";

/** Of a {@link HistoryMark}. */
export interface HistoryMarkProps {
  readonly state: HistoryState | null;
  /** The person trusts the keys that the shard has now. */
  readonly trustKeys: () => void;
}

/** What this browser found out about the log of a room's shard. */
export function HistoryMark({ state, trustKeys }: HistoryMarkProps) {
  if (state === null) return null;
  const { verified, sentence, keysChanged } = state;
  return (
    <span class={`receipt ${verified ? "verified" : "refused"}`} title={sentence} role="status">
      {verified ? "\u2713 history verified" : "history not verified"}
      {keysChanged ? (
        <button type="button" class="plain" title={sentence} onClick={trustKeys}>
          Trust its new keys
        </button>
      ) : null}
    </span>
  );
}
