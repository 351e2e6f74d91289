import { useState } from "preact/hooks";
import { type Check, checkMessage } from "./receipt-check.ts";
import type { Message } from "./message.ts";

/** A sent message's seq; pressed, its receipt is fetched and checked in the browser. */
export function ReceiptMark({
  room,
  message,
}: {
  readonly room: string;
  readonly message: Message;
}) {
  const [check, setCheck] = useState<Check | "checking" | null>(null);
  const start = () => {
    setCheck("checking");
    void checkMessage(room, message).then(setCheck);
  };
  if (check === null) {
    return (
      <button type="button" class="seq" title="Verify this message" onClick={start}>
        {message.seq}
      </button>
    );
  }
  if (check === "checking") return <span class="note">checking</span>;
  return (
    <span
      class={`receipt ${check.verified ? "verified" : "refused"}`}
      title={check.sentence}
      role="status"
    >
      {check.verified ? `\u2713 verified ${message.seq}` : `not verified: ${check.sentence}`}
    </span>
  );
}
