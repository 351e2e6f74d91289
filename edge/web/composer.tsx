import { useState } from "preact/hooks";

/** Bytes of a message at most, as the edge takes them. */
const bodyBytesMax = 16 * 1024;

/** The line to write in: Enter sends, Shift+Enter breaks the line. */
export function Composer({
  room,
  onSend,
}: {
  readonly room: string;
  readonly onSend: (body: string) => void;
}) {
  const [text, setText] = useState("");
  const tooLong = new TextEncoder().encode(text).length > bodyBytesMax;
  const send = () => {
    if (text.trim() === "" || tooLong) return;
    // Half an emoji can be pasted; no encoding carries it.
    onSend(text.toWellFormed());
    setText("");
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <label class="visually-hidden" for="draft">
        Message to {room}
      </label>
      <textarea
        id="draft"
        rows={1}
        value={text}
        placeholder={`Message to ${room}`}
        aria-invalid={tooLong}
        autofocus
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      <button type="submit" class="primary" disabled={text.trim() === "" || tooLong}>
        {tooLong ? "Too long" : "Send"}
      </button>
    </form>
  );
}
