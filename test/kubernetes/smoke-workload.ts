import type { KubernetesObject } from "./api-client.ts";

/** What runs in a pod of the smoke test: counts its starts on its volume and answers over HTTP. */
export const smokeProgram = `
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { hostname } from "node:os";

appendFileSync("/data/boots", "x");
const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://pod");
  try {
    const asked = url.pathname === "/fetch" && (await fetch(url.searchParams.get("url")));
    response.end(asked ? await asked.text() : hostname());
  } catch (error) {
    response.writeHead(502).end(String(error.cause ?? error));
  }
});
server.listen(8080, () => console.log("listening"));
process.on("SIGTERM", () => process.exit(0));
`;

/** The image's Dockerfile, of the shape of those in deploy/images. */
export const smokeDockerfile = `ARG BASE_IMAGE
FROM \${BASE_IMAGE}
COPY smoke.mjs /app/smoke.mjs
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/node", "/app/smoke.mjs"]
`;

const labels = { app: "smoke" };

/**
 * A StatefulSet with claims on local volumes, one pod a host, its Services and its disruption
 * budget.
 */
export function smokeObjects(image: string, replicas: number): KubernetesObject[] {
  return [
    service("smoke-peers", { clusterIP: "None", publishNotReadyAddresses: true }),
    service("smoke", { type: "NodePort" }),
    {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "smoke" },
      spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
    },
    statefulSet(image, replicas),
  ];
}

function service(name: string, more: object): KubernetesObject {
  const headless = "clusterIP" in more;
  const port = headless ? { port: 8080 } : { port: 80, targetPort: 8080, nodePort: 30080 };
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { selector: labels, ports: [port], ...more },
  };
}

function statefulSet(image: string, replicas: number): KubernetesObject {
  const container = {
    name: "smoke",
    image,
    imagePullPolicy: "Never",
    readinessProbe: { httpGet: { path: "/name", port: 8080 }, periodSeconds: 1 },
    securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
    volumeMounts: [{ name: "data", mountPath: "/data" }],
  };
  const hosts = { labelSelector: { matchLabels: labels }, topologyKey: "kubernetes.io/hostname" };
  const podSpec = {
    terminationGracePeriodSeconds: 5,
    securityContext: { runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532 },
    affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [hosts] } },
    containers: [container],
  };
  const claim = {
    metadata: { name: "data" },
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: "fast",
      resources: { requests: { storage: "1Gi" } },
    },
  };
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name: "smoke" },
    spec: {
      serviceName: "smoke-peers",
      podManagementPolicy: "Parallel",
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: podSpec },
      volumeClaimTemplates: [claim],
    },
  };
}
