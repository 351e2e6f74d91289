/** Who is logged in, as the edge says. */
export interface Login {
  readonly user: string;
  readonly name: string;
  /** Rooms that this login may open. */
  readonly rooms: readonly string[];
}

/** A refusal of the edge, with its sentence for people. */
export class EdgeError extends Error {
  override readonly name = "EdgeError";
  readonly status: number;

  constructor(status: number, sentence: string) {
    super(sentence);
    this.status = status;
  }
}

async function call(path: string, body?: object): Promise<unknown> {
  const request: RequestInit =
    body === undefined
      ? { method: "GET" }
      : {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
        };
  const response = await fetch(path, { ...request, credentials: "same-origin" });
  const answer: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new EdgeError(response.status, textOf(answer, "detail"));
  return answer;
}

function textOf(value: unknown, member: string): string {
  if (typeof value !== "object" || value === null) return "";
  const found = (value as Record<string, unknown>)[member];
  return typeof found === "string" ? found : "";
}

function loginFrom(value: unknown): Login {
  const listed = (value as { readonly rooms?: unknown } | null)?.rooms;
  const rooms = Array.isArray(listed) ? listed.filter((room) => typeof room === "string") : [];
  return { user: textOf(value, "user"), name: textOf(value, "name"), rooms };
}

/** Trades a one-time code for a login cookie. Throws EdgeError when the code is wrong or used. */
export async function logIn(code: string): Promise<Login> {
  return loginFrom(await call("/v1/logins", { code }));
}

/** The login of this browser, or null when there is none. */
export async function currentLogin(): Promise<Login | null> {
  try {
    return loginFrom(await call("/v1/logins"));
  } catch (error) {
    if (error instanceof EdgeError && (error.status === 401 || error.status === 403)) return null;
    throw error;
  }
}

/** Mints a session token of one room for the logged-in person. */
export async function mintToken(room: string): Promise<string> {
  return textOf(await call(`/v1/rooms/${encodeURIComponent(room)}/sessions`, {}), "token");
}

/** The room of these two people, made when it is not there. */
export async function openDm(users: readonly [string, string]): Promise<string> {
  return textOf(await call("/v1/dms", { users }), "room");
}
