import type { Message } from "./message.ts";

/** What a reader can do with messages. */
export interface MessageActions {
  /** Who reads. */
  readonly user: string;
  /** May delete what others wrote. */
  readonly staff: boolean;
  /** False in a thread: threads have none of their own. */
  readonly threads: boolean;
  readonly onRetry: (key: string) => void;
  readonly onEdit: (message: Message) => void;
  readonly onRemove: (seq: number) => void;
  readonly onReact: (seq: number, reaction: string, on: boolean) => void;
  readonly onThread: (message: Message) => void;
  readonly onPerson: (user: string) => void;
}

const offered = ["+1", "\u2665", "?"];

/** Buttons that appear over a message: reactions, thread, edit, delete. */
export function ActionBar({
  message,
  actions,
}: {
  readonly message: Message;
  readonly actions: MessageActions;
}) {
  const { seq, from } = message;
  if (seq === null || message.redacted) return null;
  const mine = from === actions.user;
  return (
    <span class="actions">
      {offered.map((reaction) => (
        <button
          key={reaction}
          type="button"
          aria-label={`React ${reaction}`}
          onClick={() => actions.onReact(seq, reaction, true)}
        >
          {reaction}
        </button>
      ))}
      {actions.threads ? (
        <button type="button" onClick={() => actions.onThread(message)}>
          Thread
        </button>
      ) : null}
      {mine ? (
        <button type="button" onClick={() => actions.onEdit(message)}>
          Edit
        </button>
      ) : null}
      {mine || actions.staff ? (
        <button type="button" onClick={() => actions.onRemove(seq)}>
          Delete
        </button>
      ) : null}
    </span>
  );
}

/** Reactions under a message, and the way into its thread. */
export function Reactions({
  message,
  actions,
}: {
  readonly message: Message;
  readonly actions: MessageActions;
}) {
  const { seq, reactions, thread } = message;
  if (seq === null || (reactions.length === 0 && !thread)) return null;
  return (
    <div class="reactions">
      {reactions.map(({ reaction, users }) => {
        const mine = users.includes(actions.user);
        return (
          <button
            key={reaction}
            type="button"
            class={mine ? "mine" : ""}
            aria-pressed={mine}
            title={users.join(", ")}
            onClick={() => actions.onReact(seq, reaction, !mine)}
          >
            {reaction} {users.length}
          </button>
        );
      })}
      {thread && actions.threads ? (
        <button type="button" class="thread" onClick={() => actions.onThread(message)}>
          Open thread
        </button>
      ) : null}
    </div>
  );
}
