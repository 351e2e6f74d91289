import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { kubernetesVersion } from "../build/versions.ts";
import { repositoryDir } from "../paths.ts";
import { runCommand, tryCommand } from "../process/command.ts";
import type { CommandResult } from "../process/command.ts";

/** Where the chart is. */
export const chartDir: string = join(repositoryDir, "charts", "tigerchat");

/** Name and namespace that charts are rendered with in tests. */
export const rendered = { release: "tigerchat", namespace: "tigerchat" } as const;

/** A rendered object; members beyond these are looked at where a test needs them. */
export interface ChartObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: { readonly [name: string]: string };
  };
  readonly data?: { readonly [name: string]: string };
  readonly spec?: unknown;
}

const monitoring = ["PodMonitor", "PrometheusRule"].map(
  (kind) => `monitoring.coreos.com/v1/${kind}`,
);

/** One way to install the chart. */
export interface ChartCase {
  readonly what: string;
  /** Arguments of `helm --set`. */
  readonly values: readonly string[];
  /** The cluster has the Prometheus operator's kinds. */
  readonly monitoring?: boolean;
}

/** Ways that differ in what they make. */
export const chartCases: readonly ChartCase[] = [
  { what: "the defaults", values: [] },
  { what: "monitoring", values: [], monitoring: true },
  { what: "one namespace", values: ["operator.scope=Namespace", "operator.replicas=1"] },
  { what: "no edge", values: ["edge.enabled=false"] },
  {
    what: "autoscaling",
    values: ["enabled=true", "connections=5000"]
      .map((value) => `edge.autoscaling.${value}`)
      .concat("edge.service.type=NodePort"),
  },
  {
    what: "images by digest",
    values: ["replica", "operator", "edge"].map(
      (name) => `${name}.image.digest=sha256:${"0123456789abcdef".repeat(4)}`,
    ),
  },
  {
    what: "a private registry",
    values: ["image.registry=registry.example", "image.pullSecrets={one,two}", "image.tag=v9"],
  },
  {
    what: "placement",
    values: ["operator", "edge"].flatMap((name) => [
      `${name}.nodeSelector.pool=chat`,
      `${name}.tolerations[0].key=chat`,
      `${name}.tolerations[0].operator=Exists`,
      `${name}.priorityClassName=system-cluster-critical`,
      `${name}.podAnnotations.team=chat`,
    ]),
  },
  {
    what: "public address",
    values: [
      "edge.publicUrl=https://chat.example",
      "edge.allowedOrigins={https://app.example}",
      "edge.fleet=second",
    ],
  },
  {
    what: "everything optional off",
    values: ["crds.install", "deletionPolicy.enabled", "networkPolicy.enabled"]
      .concat(["monitors.enabled", "alerts.enabled", "dashboards.enabled"])
      .map((name) => `${name}=false`),
    monitoring: true,
  },
];

/** Renders the chart as text. */
export async function renderText(helm: string, one: ChartCase): Promise<string> {
  return runCommand(helm, argumentsOf(one));
}

/** Renders the chart as objects. */
export async function renderChart(helm: string, one: ChartCase): Promise<readonly ChartObject[]> {
  const documents = parseAllDocuments(await renderText(helm, one), { version: "1.1" });
  const objects: ChartObject[] = [];
  for (const document of documents) {
    for (const error of "errors" in document ? document.errors : []) throw error;
    const object: unknown = document.toJS();
    if (object !== null) objects.push(object as ChartObject);
  }
  return objects;
}

/** Tries to render with one value; how helm ended. */
export async function tryValue(helm: string, value: string): Promise<CommandResult> {
  return tryCommand(helm, argumentsOf({ what: value, values: [value] }));
}

function argumentsOf({ values, monitoring: has = false }: ChartCase): string[] {
  return [
    ...["template", rendered.release, chartDir, "--namespace", rendered.namespace],
    ...["--kube-version", kubernetesVersion],
    ...values.flatMap((value) => ["--set", value]),
    ...(has ? monitoring.flatMap((api) => ["--api-versions", api]) : []),
  ];
}
