import { Agent, request } from "node:https";
import type { Credentials } from "./authority.ts";

/**
 * An answer of the API server: HTTP status and decoded body (the text itself when it is no JSON).
 */
export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** A bare client of one API server, for what starting a cluster needs; tests use the real one. */
export interface ApiClient {
  /** Sends one request; any HTTP status is an answer, only a broken connection throws. */
  send(method: string, path: string, body?: unknown, contentType?: string): Promise<ApiAnswer>;
  /** Reads an object or list; undefined when there is none. Throws on any other refusal. */
  get(path: string): Promise<unknown>;
  /** Server-side apply, by force, as the field manager "tigerchat-test". */
  apply(object: KubernetesObject): Promise<void>;
  close(): void;
}

/** The part of any Kubernetes object that its address is made of. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

const requestTimeoutMs = 15_000;

/** Makes a client that trusts `authority` alone and shows `credentials`. */
export function createApiClient(
  server: string,
  authority: string,
  credentials: Credentials,
): ApiClient {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 8,
    ca: authority,
    cert: credentials.certificate,
    key: credentials.key,
  });
  const send: ApiClient["send"] = (method, path, body, contentType = "application/json") =>
    new Promise((resolve, reject) => {
      const content = body === undefined ? undefined : JSON.stringify(body);
      // Node frames the body of a DELETE only when told its length.
      const length = content === undefined ? {} : { "content-length": Buffer.byteLength(content) };
      const headers = { "content-type": contentType, accept: "application/json", ...length };
      const call = request(`${server}${path}`, { method, agent, headers });
      call.setTimeout(requestTimeoutMs, () => call.destroy(new Error(`No answer to ${path}.`)));
      call.on("error", reject);
      call.on("response", (response) => {
        const chunks: Buffer[] = [];
        response.on("error", reject);
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          resolve({ status: response.statusCode ?? 0, body: decode(text) });
        });
      });
      call.end(content);
    });
  return {
    send,
    async get(path) {
      const answer = await send("GET", path);
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw refusal("GET", path, answer);
      return answer.body;
    },
    async apply(object) {
      const path = `${objectPath(object)}?fieldManager=tigerchat-test&force=true`;
      const answer = await send("PATCH", path, object, "application/apply-patch+yaml");
      if (answer.status !== 200 && answer.status !== 201) throw refusal("PATCH", path, answer);
    },
    close: () => agent.destroy(),
  };
}

/** The address of an object below the server's root, by the rule of Kubernetes for plurals. */
export function objectPath(object: KubernetesObject): string {
  const root = object.apiVersion.includes("/") ? "/apis" : "/api";
  const { name, namespace } = object.metadata;
  const scope = namespace === undefined ? "" : `/namespaces/${namespace}`;
  return `${root}/${object.apiVersion}${scope}/${pluralOf(object.kind)}/${name}`;
}

function pluralOf(kind: string): string {
  const lower = kind.toLowerCase();
  if (lower.endsWith("s")) return `${lower}es`;
  return lower.endsWith("y") ? `${lower.slice(0, -1)}ies` : `${lower}s`;
}

function decode(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function refusal(method: string, path: string, answer: ApiAnswer): Error {
  return new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
}
