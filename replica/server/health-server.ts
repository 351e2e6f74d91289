import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

/** What the plain port asks for. */
export interface HealthSource {
  /** True when the replica votes, is normal in the current view and keeps up. */
  ready(): boolean;
  /** One sentence behind {@link ready}. */
  reason(): string;
  metrics(): Promise<string>;
}

const plain = "text/plain; charset=utf-8";

async function answer(source: HealthSource, path: string, response: ServerResponse): Promise<void> {
  if (path === "/healthz") {
    // Turns of the event loop and nothing else: a shard without quorum must not be restarted.
    response.writeHead(200, { "content-type": plain }).end("ok\n");
  } else if (path === "/readyz") {
    const ready = source.ready();
    response.writeHead(ready ? 200 : 503, { "content-type": plain }).end(`${source.reason()}\n`);
  } else if (path === "/metrics") {
    const text = await source.metrics();
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(text);
  } else {
    response.writeHead(404, { "content-type": plain }).end("Only /metrics, /healthz, /readyz.\n");
  }
}

/** The only port without TLS: GET of health and metrics, nothing else. */
export function makeHealthServer(source: HealthSource): Server {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    if (request.method !== "GET") {
      response.writeHead(405, { "content-type": plain, allow: "GET" }).end("Only GET.\n");
      return;
    }
    const path = (request.url ?? "").split("?")[0] ?? "";
    answer(source, path, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  });
  server.maxConnections = 64;
  server.requestTimeout = 5_000;
  server.headersTimeout = 5_000;
  return server;
}
