import { createServer, type Server } from "node:http";
import { loopback } from "./ports.ts";

/** A process whose metrics are shown. */
export interface MetricsSource {
  readonly name: string;
  readonly url: string;
}

const scrapeTimeoutMs = 2_000;

/**
 * Joins the metrics of several processes: adds the label `instance` to each sample and keeps the
 * samples of one metric together, as the exposition format demands.
 */
export function joinMetrics(
  scraped: readonly { readonly name: string; readonly text: string }[],
): string {
  const families = new Map<string, { readonly head: string[]; readonly samples: string[] }>();
  for (const { name, text } of scraped) {
    let family = "";
    for (const line of text.split("\n")) {
      const described = /^# (?:HELP|TYPE) (\S+)/.exec(line);
      if (described !== null) family = described[1] ?? "";
      if (line === "" || (line.startsWith("#") && described === null)) continue;
      const known = families.get(family) ?? { head: [], samples: [] };
      families.set(family, known);
      if (described === null) known.samples.push(withInstance(line, name));
      else if (!known.head.includes(line)) known.head.push(line);
    }
  }
  const blocks = [...families.values()].map(({ head, samples }) =>
    [...head, ...samples].join("\n"),
  );
  return `${blocks.join("\n")}\n`;
}

function withInstance(sample: string, name: string): string {
  const brace = sample.indexOf("{");
  const space = sample.indexOf(" ");
  const label = `instance="${name}"`;
  if (brace === -1 || brace > space) {
    return `${sample.slice(0, space)}{${label}}${sample.slice(space)}`;
  }
  const comma = sample[brace + 1] === "}" ? "" : ",";
  return `${sample.slice(0, brace + 1)}${label}${comma}${sample.slice(brace + 1)}`;
}

async function scrape(source: MetricsSource): Promise<{ name: string; text: string }> {
  try {
    const answer = await fetch(source.url, { signal: AbortSignal.timeout(scrapeTimeoutMs) });
    const text = answer.ok ? await answer.text() : "";
    return { name: source.name, text: `${upLine(answer.ok)}\n${text}` };
  } catch {
    return { name: source.name, text: upLine(false) };
  }
}

function upLine(up: boolean): string {
  return `# HELP up Whether the process answered.\n# TYPE up gauge\nup ${up ? 1 : 0}`;
}

/** Serves `/metrics` of the whole local fleet on loopback, any free port. */
export async function serveMetrics(
  sources: () => readonly MetricsSource[],
): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url !== "/metrics") {
      response.writeHead(404, { "content-type": "text/plain" }).end("Ask for GET /metrics.\n");
      return;
    }
    Promise.all(sources().map(scrape)).then(
      (scraped) => {
        const type = "text/plain; version=0.0.4; charset=utf-8";
        response.writeHead(200, { "content-type": type }).end(joinMetrics(scraped));
      },
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, loopback, resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { url: `http://${loopback}:${port}/metrics`, server };
}
