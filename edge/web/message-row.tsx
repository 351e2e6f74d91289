import { ReceiptMark } from "./receipt-mark.tsx";
import { ActionBar, type MessageActions, Reactions } from "./message-actions.tsx";
import type { Message } from "./message.ts";

/** Hue of a person's square: stable for a name, spread over the circle. */
function hueOf(name: string): number {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 3600;
  return (hash * 137) % 360;
}

function Face({ name }: { readonly name: string }) {
  const background = `hsl(${hueOf(name)} 55% 42%)`;
  return (
    <span class="face" style={{ background }} aria-hidden="true">
      {(name[0] ?? "?").toUpperCase()}
    </span>
  );
}

function Note({
  room,
  message,
  onRetry,
}: {
  readonly room: string;
  readonly message: Message;
  readonly onRetry: () => void;
}) {
  if (message.state === "sent") return <ReceiptMark room={room} message={message} />;
  if (message.state === "pending") return <span class="note">sending</span>;
  return (
    <span class="note">
      not sent,{" "}
      <button type="button" onClick={onRetry}>
        try again
      </button>
    </span>
  );
}

/** A name; another's is a way to write to them alone. */
function Author({ from, actions }: { readonly from: string; readonly actions: MessageActions }) {
  if (from === actions.user) return <b>{from}</b>;
  return (
    <button
      type="button"
      class="author"
      title={`Write to ${from} alone`}
      onClick={() => actions.onPerson(from)}
    >
      {from}
    </button>
  );
}

/** One message; `first` shows face, name and time, as the first of a run by one person does. */
export function MessageRow({
  room,
  message,
  first,
  actions,
}: {
  readonly room: string;
  readonly message: Message;
  readonly first: boolean;
  readonly actions: MessageActions;
}) {
  const when = new Date(message.timeMs);
  return (
    <li class={`message ${message.state}${first ? " first" : ""}`} data-seq={message.seq ?? ""}>
      {first ? <Face name={message.from} /> : <span />}
      {first ? (
        <div class="head">
          <Author from={message.from} actions={actions} />
          <time dateTime={when.toISOString()}>
            {when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}
          </time>
        </div>
      ) : null}
      <p class={message.redacted ? "body gone" : "body"}>
        {message.redacted ? "This message was deleted." : message.body}
        {message.edited ? <span class="edited"> (edited)</span> : null}
      </p>
      <Note room={room} message={message} onRetry={() => actions.onRetry(message.key)} />
      <Reactions message={message} actions={actions} />
      <ActionBar message={message} actions={actions} />
    </li>
  );
}
