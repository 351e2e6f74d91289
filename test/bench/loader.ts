// The load generator's own process: forked by the bench, told what to do by one message.
import { randomBytes } from "node:crypto";
import { clientIdFrom } from "#replica/base/brands.ts";
import { ShardLink, type ShardLinkOptions } from "#replica/transport/shard-link.ts";
import { type Gap, Load, type LoadOptions } from "./load.ts";

/** What the bench tells a loader. */
export type LoaderCommand =
  | {
      readonly kind: "run";
      readonly links: number;
      readonly shard: ShardLinkOptions["shard"];
      readonly tls: ShardLinkOptions["tls"];
      readonly load: LoadOptions;
    }
  | { readonly kind: "mark" }
  | { readonly kind: "gap" };

/** What a loader answers. Latencies in microseconds. */
export type LoaderReport =
  | { readonly kind: "started" }
  | ({ readonly kind: "gap" } & Gap)
  | {
      readonly kind: "result";
      readonly seconds: number;
      readonly committed: number;
      readonly batches: number;
      readonly prepares: number;
      readonly unknown: number;
      readonly rejected: number;
      readonly late: number;
      readonly wrong: Readonly<Record<number, number>>;
      readonly p50: number;
      readonly p99: number;
      readonly p999: number;
      readonly max: number;
      readonly mean: number;
      readonly buckets: readonly (readonly [number, number])[];
      readonly cpuSeconds: number;
    };

let load: Load | null = null;

function report(message: LoaderReport): void {
  process.send?.(message);
}

async function run(command: Extract<LoaderCommand, { kind: "run" }>): Promise<void> {
  const links = Array.from({ length: command.links }, () => {
    const clientId = clientIdFrom(randomBytes(16).toString("hex"));
    return new ShardLink({ clientId, shard: command.shard, tls: command.tls });
  });
  load = new Load(links, command.load);
  await load.prepare();
  report({ kind: "started" });
  const { histogram, ...counts } = await load.run();
  const cpu = process.cpuUsage();
  report({
    kind: "result",
    ...counts,
    p50: histogram.quantile(0.5),
    p99: histogram.quantile(0.99),
    p999: histogram.quantile(0.999),
    max: histogram.max,
    mean: histogram.mean,
    buckets: histogram.buckets(),
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  });
  for (const link of links) link.close();
  process.disconnect?.();
}

process.on("message", (command: LoaderCommand) => {
  switch (command.kind) {
    case "run":
      run(command).catch((error: unknown) => {
        console.error(error);
        process.exit(1);
      });
      return;
    case "mark":
      load?.mark();
      return;
    case "gap":
      if (load !== null) report({ kind: "gap", ...load.gap() });
      return;
    default:
      command satisfies never;
  }
});

// The bench is gone, or has what it wanted.
process.on("disconnect", () => process.exit());
