import { ReceiptMark } from "./receipt-mark.tsx";
import type { Message } from "./room-store.ts";

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

/** One message; `first` shows face, name and time, as the first of a run by one person does. */
export function MessageRow({
  room,
  message,
  first,
  onRetry,
}: {
  readonly room: string;
  readonly message: Message;
  readonly first: boolean;
  readonly onRetry: () => void;
}) {
  const when = new Date(message.timeMs);
  return (
    <li class={`message ${message.state}${first ? " first" : ""}`} data-seq={message.seq ?? ""}>
      {first ? <Face name={message.from} /> : <span />}
      {first ? (
        <div class="head">
          <b>{message.from}</b>
          <time dateTime={when.toISOString()}>
            {when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}
          </time>
        </div>
      ) : null}
      <p class="body">{message.body}</p>
      <Note room={room} message={message} onRetry={onRetry} />
    </li>
  );
}
