// The edge process: `edge.js --config FILE`. Exit 0 after a drain, 1 with one sentence otherwise.
import { parseArgs } from "node:util";
import { pino } from "pino";
import { ConfigError, readConfig } from "./config.ts";
import { EdgeProcess } from "./edge-process.ts";

function configFile(): string {
  try {
    const { values } = parseArgs({ options: { config: { type: "string" } } });
    if (values.config !== undefined) return values.config;
  } catch {
    // A flag that does not exist, or one without its value.
  }
  throw new ConfigError("Say where the configuration is, and nothing else: --config FILE.");
}

async function main(): Promise<void> {
  const config = readConfig(configFile());
  const log = pino({ level: config.logLevel, base: { process: "edge", fleet: config.fleet } });
  const edge = await EdgeProcess.start(config, log);
  let stopping = false;
  const stop = () => {
    // A second signal does not wait for clients.
    if (stopping) process.exit(1);
    stopping = true;
    edge.drain().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ error }, "drain failed");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

main().catch((error: unknown) => {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
});
