import { useEffect, useState } from "preact/hooks";

/** Bytes of a message at most, as the edge takes them. */
const bodyBytesMax = 16 * 1024;

/** The line to write in: Enter sends, Shift+Enter breaks the line. */
export function Composer({
  id,
  room,
  editing,
  onSend,
  onCancel,
}: {
  /** Of the input: one a composer on the page. */
  readonly id: string;
  readonly room: string;
  /** Text of the message that is edited; null = a new one is written. */
  readonly editing: string | null;
  readonly onSend: (body: string) => void;
  readonly onCancel: () => void;
}) {
  const [text, setText] = useState("");
  useEffect(() => {
    setText(editing ?? "");
    if (editing !== null) document.getElementById(id)?.focus();
  }, [editing, id]);
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
      <label class="visually-hidden" for={id}>
        Message to {room}
      </label>
      <textarea
        id={id}
        rows={1}
        value={text}
        placeholder={`Message to ${room}`}
        aria-invalid={tooLong}
        autofocus
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && editing !== null) onCancel();
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      {editing === null ? null : (
        <button type="button" class="plain" onClick={onCancel}>
          Cancel
        </button>
      )}
      <button type="submit" class="primary" disabled={text.trim() === "" || tooLong}>
        {tooLong ? "Too long" : editing === null ? "Send" : "Save"}
      </button>
    </form>
  );
}
