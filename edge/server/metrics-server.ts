import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** What the metrics port answers from. */
export interface MetricsSource {
  readonly notReady: () => string | null;
  readonly text: () => Promise<string>;
}

/** A listening metrics port. */
export interface MetricsServer {
  readonly port: number;
  close(): void;
}

/** Plain HTTP: GET /metrics, /healthz, /readyz; nothing else. */
export async function startMetricsServer(
  host: string,
  port: number,
  source: MetricsSource,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    const answer = (status: number, body: string, type = "text/plain; charset=utf-8") => {
      response.writeHead(status, { "content-type": type }).end(body);
    };
    if (request.method !== "GET") answer(405, "only GET\n");
    else if (request.url === "/healthz") answer(200, "ok\n");
    else if (request.url === "/readyz") {
      const reason = source.notReady();
      answer(reason === null ? 200 : 503, `${reason ?? "ok"}\n`);
    } else if (request.url === "/metrics") {
      source.text().then(
        (text) => answer(200, text, "text/plain; version=0.0.4; charset=utf-8"),
        () => answer(500, "failed\n"),
      );
    } else answer(404, "not here\n");
  });
  await listening(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function listening(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
