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
  const text = await fetchBeside(socketUrl, token, room, "snapshot", { thread, ...query });
  return JSON.parse(text) as RoomSnapshot;
}

/** Text of a call about a room, on the edge that has this WebSocket. Throws {@link ChatError}. */
export async function fetchBeside(
  socketUrl: string,
  token: string,
  room: string,
  call: string,
  query: Readonly<Record<string, string | number | undefined>>,
): Promise<string> {
  const url = new URL(`/v1/rooms/${encodeURIComponent(room)}/${call}`, socketUrl);
  url.protocol = url.protocol.replace("ws", "http");
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(url, { headers }).catch(() => null);
  const text = await response?.text().catch(() => null);
  if (response === null || text === null || text === undefined) throw lostError();
  if (response.ok) return text;
  const answer = problemFrom(text);
  throw new ChatError({
    code: Number(answer["code"] ?? response.status),
    name: String(answer["name"] ?? "INTERNAL"),
    message: String(answer["detail"] ?? ""),
    retryable: answer["retryable"] === true,
  });
}

function problemFrom(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
