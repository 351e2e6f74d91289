import { LogPin, type PinnedCheckpoint, type ProvenCheckpoint } from "@tigerchat/sdk";
import { trustedKeys } from "./receipt-check.ts";

function stored(place: string): PinnedCheckpoint | null {
  try {
    const { origin, size, root } = JSON.parse(localStorage.getItem(place) ?? "null") ?? {};
    const right = typeof origin === "string" && Number.isSafeInteger(size);
    return right && typeof root === "string" ? { origin, size, root } : null;
  } catch {
    return null;
  }
}

/** The head of the log of a room's shard, as this browser verified it last; kept in it. */
export function historyPin(room: string): LogPin {
  const place = `tigerchat log ${room}`;
  return new LogPin(
    () => trustedKeys(room),
    stored(place),
    (pinned) => {
      localStorage.setItem(place, JSON.stringify(pinned));
    },
  );
}

/** One sentence for people. */
export function historySentence({ size, cosigners }: ProvenCheckpoint): string {
  const signers = cosigners.map((name) => name.split("/").at(-1)).join(" and ");
  return (
    `Checked in this browser: the signed log of ${size} records extends all that was seen ` +
    `before, cosigned by ${signers}.`
  );
}
