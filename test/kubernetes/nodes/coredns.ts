import type { KubernetesObject } from "../api-client.ts";
import { addresses } from "./topology.ts";

/** The image of the cluster's name server: CoreDNS alone. */
export const corednsImage = "docker.io/tigerchat/coredns:dev";

const name = "coredns";
const namespace = "kube-system";
const labels = { "k8s-app": "kube-dns" };

const corefile = `.:1053 {
  errors
  health :8080
  ready :8181
  kubernetes cluster.local in-addr.arpa {
    pods insecure
    ttl 5
  }
  cache 5
  loadbalance
}
`;

/** Everything that the name server consists of, in the order to apply it. */
export function corednsObjects(): KubernetesObject[] {
  return [...account(), configuration(), deployment(), service()];
}

function account(): KubernetesObject[] {
  const role = {
    apiGroup: "rbac.authorization.k8s.io",
    kind: "ClusterRole",
    name: "system:coredns",
  };
  const watch = ["list", "watch"];
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: role.name },
      rules: [
        { apiGroups: [""], resources: ["services", "pods", "namespaces"], verbs: watch },
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: watch },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: role.name },
      roleRef: role,
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    },
  ];
}

function configuration(): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace },
    data: { Corefile: corefile },
  };
}

function deployment(): KubernetesObject {
  const probe = (path: string, port: number): object => ({
    httpGet: { path, port },
    periodSeconds: 2,
    timeoutSeconds: 5,
    failureThreshold: 10,
  });
  const container = {
    name,
    image: corednsImage,
    imagePullPolicy: "Never",
    args: ["-conf", "/etc/coredns/Corefile"],
    ports: [
      { name: "dns", containerPort: 1053, protocol: "UDP" },
      { name: "dns-tcp", containerPort: 1053, protocol: "TCP" },
    ],
    readinessProbe: probe("/ready", 8181),
    livenessProbe: probe("/health", 8080),
    volumeMounts: [{ name: "config", mountPath: "/etc/coredns", readOnly: true }],
  };
  const spread = {
    maxSkew: 1,
    topologyKey: "kubernetes.io/hostname",
    whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: { matchLabels: labels },
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace, labels },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: name,
          priorityClassName: "system-cluster-critical",
          dnsPolicy: "Default",
          tolerations: [{ operator: "Exists" }],
          topologySpreadConstraints: [spread],
          containers: [container],
          volumes: [{ name: "config", configMap: { name } }],
        },
      },
    },
  };
}

function service(): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "kube-dns", namespace, labels },
    spec: {
      clusterIP: addresses.dnsService,
      selector: labels,
      ports: [
        { name: "dns", port: 53, targetPort: "dns", protocol: "UDP" },
        { name: "dns-tcp", port: 53, targetPort: "dns-tcp", protocol: "TCP" },
      ],
    },
  };
}
