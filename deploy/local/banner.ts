import type { Login } from "./login-codes.ts";

/** What a person or a program needs to know of a running fleet. */
export interface Facts {
  readonly page: string;
  /** One address an edge; the first is the page's. */
  readonly edges: readonly string[];
  readonly logins: readonly Login[];
  readonly metrics: string;
  readonly data: string;
  /** File with the API key of the fleet's edges. */
  readonly apiKeyFile: string;
  readonly shards: readonly string[];
  /** Process numbers by name: `lobby-0`, `edge-1`. */
  readonly pids: Readonly<Record<string, number>>;
}

/** The calm lines for people. */
export function textOfFacts(facts: Facts, tookMs: number): string {
  const shards = facts.shards.length === 1 ? "1 shard" : `${facts.shards.length} shards`;
  const logins = facts.logins.map((login) => `${login.code} (${login.name})`).join(", ");
  return [
    `TigerChat runs: ${shards} of 3 replicas, ready in ${(tookMs / 1000).toFixed(1)} s.`,
    "",
    `  Page      ${facts.page}`,
    `  Log in    ${logins}; each code works once`,
    `  Metrics   ${facts.metrics}`,
    `  API key   ${facts.apiKeyFile}`,
    `  Data      ${facts.data}`,
    "",
    "Stop with Ctrl-C; the data stays.",
  ].join("\n");
}
