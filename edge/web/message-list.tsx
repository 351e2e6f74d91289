import { useLayoutEffect, useRef } from "preact/hooks";
import { MessageRow } from "./message-row.tsx";
import type { Message } from "./message.ts";
import type { MessageActions } from "./message-actions.tsx";

/** A run of one person's messages breaks after this pause. */
const runPauseMs = 5 * 60_000;
/** Pixels from the end within which the list follows new messages. */
const followWithinPx = 80;

function dayOf(message: Message): string {
  return new Date(message.timeMs).toLocaleDateString([], {
    weekday: "long",
    day: "numeric",
    month: "long",
  });
}

function startsRun(message: Message, before: Message | undefined): boolean {
  if (before === undefined || before.from !== message.from) return true;
  return message.timeMs - before.timeMs > runPauseMs || dayOf(before) !== dayOf(message);
}

/** The room's messages, oldest first; stays at the end while the reader is there. */
export function MessageList({
  room,
  messages,
  hasOlder,
  onOlder,
  actions,
}: {
  readonly room: string;
  readonly messages: readonly Message[];
  readonly hasOlder: boolean;
  readonly onOlder: () => void;
  readonly actions: MessageActions;
}) {
  const list = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  useLayoutEffect(() => {
    const element = list.current;
    if (element !== null && following.current) element.scrollTop = element.scrollHeight;
  }, [messages]);
  const watch = () => {
    const element = list.current;
    if (element === null) return;
    const below = element.scrollHeight - element.scrollTop - element.clientHeight;
    following.current = below < followWithinPx;
  };
  return (
    <div class="log" ref={list} onScroll={watch} role="log" aria-live="polite">
      <ol>
        {hasOlder ? (
          <li>
            <button type="button" class="older" onClick={onOlder}>
              Earlier messages
            </button>
          </li>
        ) : null}
        {messages.length === 0 ? <li class="empty">No messages yet. Say something.</li> : null}
        {messages.flatMap((message, index) => {
          const before = messages[index - 1];
          const row = (
            <MessageRow
              key={message.key}
              room={room}
              message={message}
              first={startsRun(message, before)}
              actions={actions}
            />
          );
          if (before !== undefined && dayOf(before) === dayOf(message)) return [row];
          return [
            <li key={`day-${message.key}`} class="day">
              {dayOf(message)}
            </li>,
            row,
          ];
        })}
      </ol>
    </div>
  );
}
