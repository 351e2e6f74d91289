import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import {
  Array as ListOf,
  Integer,
  Literal,
  Object as ObjectOf,
  Optional,
  Record as RecordOf,
  String as Text,
  Union,
  Unknown,
} from "typebox";
import type { Static } from "typebox";
import { Compile } from "typebox/compile";
import { edgeLimitsFrom } from "#edge/limit/edge-limits.ts";
import type { EdgeLimits } from "#edge/limit/edge-limits.ts";
import { RoutingTable } from "#edge/routing/routing-table.ts";

const strict = { additionalProperties: false };
const path = Text({ minLength: 1, maxLength: 4096 });
const port = Integer({ minimum: 0, maximum: 65_535 });

const configSchema = ObjectOf(
  {
    cluster: Optional(Text({ pattern: "^[0-9a-f]{32}$" })),
    fleet: Text({ minLength: 1, maxLength: 253 }),
    listen: ObjectOf({ host: Text({ minLength: 1 }), port, metricsPort: port }, strict),
    files: ObjectOf(
      {
        routing: path,
        cert: path,
        key: path,
        trust: path,
        jwtKeys: path,
        apiKeys: path,
        logins: Optional(path),
        web: Optional(path),
      },
      strict,
    ),
    publicUrl: Optional(Text({ pattern: "^https?://[^/]+$" })),
    allowedOrigins: Optional(ListOf(Text({ pattern: "^https?://[^/]+$" }), { maxItems: 100 })),
    trustProxy: Optional(
      ListOf(Text({ pattern: "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$" }), { minItems: 1, maxItems: 100 }),
    ),
    bus: Optional(ObjectOf({ kind: Literal("direct") }, strict)),
    limits: Optional(RecordOf(Text(), Unknown())),
    drain: Optional(ObjectOf({ windowMs: Integer({ minimum: 0, maximum: 600_000 }) }, strict)),
    log: Optional(
      ObjectOf(
        { level: Union([Literal("debug"), Literal("info"), Literal("warn"), Literal("error")]) },
        strict,
      ),
    ),
  },
  strict,
);

const validator = Compile(configSchema);

/** Time in which clients are asked to leave before a stop, unless configured. */
const drainWindowMsDefault = 2_000;

/** The edge's configuration file, checked, with defaults filled in. */
export interface EdgeConfig {
  /** Identity of the fleet; the routing file's where the configuration names none. */
  readonly cluster: string;
  readonly fleet: string;
  readonly listen: Static<typeof configSchema>["listen"];
  readonly files: Static<typeof configSchema>["files"];
  readonly publicUrl: string | null;
  readonly allowedOrigins: readonly string[];
  /** Addresses (CIDR) of proxies before the edge, whose X-Forwarded-For counts; false = none. */
  readonly trustProxy: string[] | false;
  readonly limits: EdgeLimits;
  readonly drainWindowMs: number;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/** A configuration that cannot be used; the message is one sentence that says what to do. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Reads and checks a configuration file; throws ConfigError. */
export function readConfig(file: string): EdgeConfig {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError(`The configuration ${file} cannot be read: ${String(error)}.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ConfigError(`The configuration ${file} is not JSON.`);
  }
  return configFrom(value, file);
}

/** Checks a configuration; throws ConfigError. */
export function configFrom(value: unknown, file: string): EdgeConfig {
  if (!validator.Check(value)) {
    const first = validator.Errors(value)[0];
    const path = first?.instancePath.slice(0, 120) ?? "";
    const what = `${path === "" ? "it" : path} ${first?.message.slice(0, 300) ?? ""}`;
    throw new ConfigError(`The configuration ${file} is wrong: ${what}.`);
  }
  const { fleet, listen, files, publicUrl, allowedOrigins, drain, log } = value;
  for (const origin of [publicUrl ?? [], allowedOrigins ?? []].flat()) {
    if (!isOrigin(origin)) {
      throw new ConfigError(
        `In ${file}, ${origin.slice(0, 300)} is no origin such as https://a.b.`,
      );
    }
  }
  const proxy = value.trustProxy?.find((range) => !isRange(range));
  if (proxy !== undefined) {
    throw new ConfigError(`In ${file}, ${proxy.slice(0, 300)} is no range such as 10.0.0.0/8.`);
  }
  const cluster = value.cluster ?? clusterOf(files.routing);
  const limits = edgeLimitsFrom(value.limits);
  if (typeof limits === "string") throw new ConfigError(`In ${file}, ${limits}.`);
  return {
    cluster,
    fleet,
    listen,
    files,
    limits,
    publicUrl: publicUrl ?? null,
    allowedOrigins: allowedOrigins ?? [],
    trustProxy: value.trustProxy ?? false,
    drainWindowMs: drain?.windowMs ?? drainWindowMsDefault,
    logLevel: log?.level ?? "info",
  };
}

/** Scheme, host, port and nothing else; such as a Content-Security-Policy may hold. */
function isOrigin(text: string): boolean {
  if (/[^\x21-\x7e]|[;,'"*@?#\\]/.test(text) || !URL.canParse(text)) return false;
  const { host, pathname } = new URL(text);
  return host !== "" && pathname === "/" && !text.endsWith("/");
}

function isRange(text: string): boolean {
  const [address = "", bits] = text.split("/");
  const version = isIP(address);
  return version !== 0 && (bits === undefined || Number(bits) <= (version === 4 ? 32 : 128));
}

/** Whoever writes configurations by a template cannot know the fleet's identity; the table does. */
function clusterOf(routing: string): string {
  let text: string;
  try {
    text = readFileSync(routing, "utf8");
  } catch (error) {
    throw new ConfigError(`The routing file ${routing} cannot be read: ${String(error)}.`);
  }
  const table = RoutingTable.parse(text);
  if (table.ok) return table.value.file.cluster;
  throw new ConfigError(`The routing file ${routing} is malformed: ${table.reason}.`);
}
