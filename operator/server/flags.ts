import { parseArgs } from "node:util";

/** What the command line says. */
export interface OperatorFlags {
  /** Namespace that it serves; "" = all. */
  readonly namespace: string;
  /** Namespace of its own pod and Lease. */
  readonly ownNamespace: string;
  readonly replicaImage: string;
  readonly imagePullPolicy: string;
  readonly imagePullSecrets: readonly string[];
  readonly leaseName: string;
  /** Fleets of its own namespace whose files are made before any shard asks, for edges to mount. */
  readonly fleets: readonly string[];
  /** Deployment of its own that owns those files; they go with it. */
  readonly ownDeployment: string;
  /** Address and port of health and metrics; port 0 = any free one. */
  readonly metricsHost: string;
  readonly metricsPort: number;
  readonly logLevel: string;
}

/** Shown for --help and after a mistake. */
export const usage = [
  "Usage: operator --replica-image IMAGE [options]",
  "  --namespace NS             serve one namespace; default: all",
  "  --own-namespace NS         namespace of the operator's pod and Lease; default: default",
  "  --replica-image IMAGE      image of replicas whose manifest names none",
  "  --image-pull-policy P      Always | IfNotPresent | Never; default: IfNotPresent",
  "  --image-pull-secrets A,B   Secrets for the registry",
  "  --lease-name NAME          default: tigerchat-operator",
  "  --fleets A,B               make the files of these fleets of --own-namespace at once",
  "  --own-deployment NAME      Deployment of the operator; owns the files of --fleets",
  "  --metrics-host HOST        default: 0.0.0.0",
  "  --metrics-port PORT        default: 8081; 0 = any free one",
  "  --log-level LEVEL          debug | info | warn | error; default: info",
].join("\n");

const options = {
  namespace: { type: "string", default: "" },
  "own-namespace": { type: "string", default: "default" },
  "replica-image": { type: "string" },
  "image-pull-policy": { type: "string", default: "IfNotPresent" },
  "image-pull-secrets": { type: "string", default: "" },
  fleets: { type: "string", default: "" },
  "own-deployment": { type: "string", default: "tigerchat-operator" },
  "lease-name": { type: "string", default: "tigerchat-operator" },
  "metrics-host": { type: "string", default: "0.0.0.0" },
  "metrics-port": { type: "string", default: "8081" },
  "log-level": { type: "string", default: "info" },
} as const;

/** Levels of pino, the logger. */
const logLevels: readonly string[] = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];

/** Reads the command line; a sentence when it is wrong. */
export function flagsFrom(
  args: readonly string[],
): { readonly ok: true; readonly value: OperatorFlags } | { readonly ok: false; why: string } {
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true });
    const image = values["replica-image"];
    if (image === undefined || image === "")
      return { ok: false, why: "--replica-image is missing." };
    const policy = values["image-pull-policy"];
    if (!["Always", "IfNotPresent", "Never"].includes(policy)) {
      return { ok: false, why: "--image-pull-policy must be Always, IfNotPresent or Never." };
    }
    const portText = values["metrics-port"];
    const port = Number(portText);
    if (!/^[0-9]{1,5}$/.test(portText) || port > 65_535) {
      return { ok: false, why: "--metrics-port must be a port from 0 to 65535." };
    }
    const level = values["log-level"];
    if (!logLevels.includes(level)) {
      return { ok: false, why: `--log-level must be one of ${logLevels.join(", ")}.` };
    }
    const value: OperatorFlags = {
      namespace: values.namespace,
      ownNamespace: values["own-namespace"],
      replicaImage: image,
      imagePullPolicy: policy,
      imagePullSecrets: listOf(values["image-pull-secrets"]),
      leaseName: values["lease-name"],
      fleets: listOf(values.fleets),
      ownDeployment: values["own-deployment"],
      metricsHost: values["metrics-host"],
      metricsPort: port,
      logLevel: level,
    };
    return { ok: true, value };
  } catch (error) {
    return { ok: false, why: error instanceof Error ? error.message : String(error) };
  }
}

function listOf(text: string): readonly string[] {
  return text.split(",").filter((name) => name !== "");
}
