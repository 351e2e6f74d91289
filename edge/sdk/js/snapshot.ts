import { ChatError, lostError } from "./chat-error.ts";

/** A message as it looked at some seq. */
export interface SnapshotMessage {
  readonly seq: number;
  readonly t: number;
  readonly from: string;
  readonly parent?: number;
  readonly body?: string;
  readonly body_b64?: string;
  /** The edit whose text this is. */
  readonly edited?: { readonly seq: number; readonly t: number };
  readonly redacted?: true;
  readonly reactions?: readonly { readonly reaction: string; readonly users: readonly string[] }[];
  readonly thread?: true;
}

/** A room as of entry `at`; members as published (Snapshot in /openapi.json). */
export interface RoomSnapshot {
  readonly epoch: number;
  readonly at: number;
  readonly head: number;
  readonly settings?: Readonly<Record<string, boolean>>;
  readonly members?: readonly {
    readonly user: string;
    readonly role: string;
    readonly seq: number;
  }[];
  readonly members_next?: string;
  readonly messages: readonly SnapshotMessage[];
  /** Give it, and `at`, for the page before; 0 = there is none. */
  readonly before: number;
}

/** What to ask of a snapshot; all optional. */
export interface SnapshotQuery {
  readonly at?: number;
  readonly before?: number;
  readonly limit?: number;
  readonly members_after?: string;
}

/** Fetches one page of a snapshot. `socketUrl`: the edge's WebSocket; the call is beside it. */
export async function fetchSnapshot(
  socketUrl: string,
  token: string,
  place: { readonly room: string; readonly thread?: number },
  query: SnapshotQuery,
): Promise<RoomSnapshot> {
  const { room, thread } = place;
  const url = new URL(`/v1/rooms/${encodeURIComponent(room)}/snapshot`, socketUrl);
  url.protocol = url.protocol.replace("ws", "http");
  for (const [name, value] of Object.entries({ thread, ...query })) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(url, { headers }).catch(() => null);
  const answer = (await response?.json().catch(() => null)) as Record<string, unknown> | null;
  if (response === null || answer === null) throw lostError();
  if (response.ok) return answer as unknown as RoomSnapshot;
  throw new ChatError({
    code: Number(answer["code"] ?? response.status),
    name: String(answer["name"] ?? "INTERNAL"),
    message: String(answer["detail"] ?? ""),
    retryable: answer["retryable"] === true,
  });
}
