import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** What the port answers. */
export interface HealthSource {
  /** The event loop turns and nothing is hopeless. */
  readonly healthy: () => boolean;
  /** Configuration is read and the API server answered once. */
  readonly ready: () => boolean;
  readonly metrics: () => Promise<string>;
}

/** Plain HTTP: GET /healthz, /readyz and /metrics, nothing else. Resolves when it listens. */
export async function startHealthServer(
  host: string,
  port: number,
  source: HealthSource,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((request, response) => {
    const say = (status: number, text: string): void => {
      response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
      response.end(text);
    };
    if (request.method !== "GET") return say(405, "Only GET.\n");
    if (request.url === "/healthz") return say(source.healthy() ? 200 : 503, "");
    if (request.url === "/readyz") return say(source.ready() ? 200 : 503, "");
    if (request.url !== "/metrics") return say(404, "Try /healthz, /readyz or /metrics.\n");
    source.metrics().then(
      (text) => say(200, text),
      () => say(500, "The metrics could not be collected.\n"),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const bound = server.address() as AddressInfo;
  return { server, port: bound.port };
}
