import { runCommand } from "../process/command.ts";
import type { NodePlan } from "./topology.ts";
import { addresses, hostLink, lanNetns, nodePlans } from "./topology.ts";

/** One command of `ip`, or one write of "1" into a namespace's net.ipv4.ip_forward. */
export type NetworkStep =
  | { readonly kind: "ip"; readonly args: readonly string[] }
  | { readonly kind: "forward"; readonly netns: string };

/** Makes the namespaces, the bridge, the links and the routes. */
export async function createNetwork(): Promise<void> {
  for (const step of networkSteps(nodePlans)) {
    if (step.kind === "ip") await runCommand("ip", step.args);
    else {
      const write = "echo 1 > /proc/sys/net/ipv4/ip_forward";
      await runCommand("nsenter", [`--net=/run/netns/${step.netns}`, "sh", "-c", write]);
    }
  }
}

/** Cuts a node off from all others, or joins it again: its link on the bridge goes down or up. */
export async function setNodeLink(node: NodePlan, state: "up" | "down"): Promise<void> {
  await runCommand("ip", ["-n", lanNetns, "link", "set", node.name, state]);
}

/** Everything that makes the network, in order. */
export function networkSteps(nodes: readonly NodePlan[]): NetworkStep[] {
  const at = (address: string): string => `${address}/${addresses.prefixLength}`;
  return [
    ip(`netns add ${lanNetns}`),
    inside(lanNetns, "link set lo up"),
    inside(lanNetns, "link add br0 type bridge"),
    inside(lanNetns, `addr add ${at(addresses.lan)} dev br0`),
    inside(lanNetns, "link set br0 up"),
    { kind: "forward", netns: lanNetns },
    ip(`link add ${hostLink} type veth peer name host netns ${lanNetns}`),
    inside(lanNetns, "link set host master br0 up"),
    ip(`addr add ${at(addresses.host)} dev ${hostLink}`),
    ip(`link set ${hostLink} up`),
    ...nodes.flatMap((node) => nodeSteps(node, at(node.address))),
    ...nodes.flatMap((node) => routesTo(node, nodes)),
    // Whoever is outside of the cluster comes to services by way of the first node's kube-proxy.
    ...nodes
      .slice(0, 1)
      .flatMap((node) => [
        ip(`route add ${addresses.services} via ${node.address}`),
        inside(lanNetns, `route add ${addresses.services} via ${node.address}`),
      ]),
  ];
}

function nodeSteps(node: NodePlan, address: string): NetworkStep[] {
  return [
    ip(`netns add ${node.netns}`),
    inside(lanNetns, `link add ${node.name} type veth peer name eth0 netns ${node.netns}`),
    inside(lanNetns, `link set ${node.name} master br0 up`),
    inside(node.netns, "link set lo up"),
    inside(node.netns, `addr add ${address} dev eth0`),
    inside(node.netns, "link set eth0 up"),
    inside(node.netns, `route add default via ${addresses.lan}`),
    { kind: "forward", netns: node.netns },
  ];
}

function routesTo(node: NodePlan, nodes: readonly NodePlan[]): NetworkStep[] {
  const route = `route add ${node.podRange} via ${node.address}`;
  const others = nodes.filter((other) => other.name !== node.name);
  return [ip(route), inside(lanNetns, route), ...others.map((other) => inside(other.netns, route))];
}

function ip(line: string): NetworkStep {
  return { kind: "ip", args: line.split(" ") };
}

function inside(netns: string, line: string): NetworkStep {
  return { kind: "ip", args: ["-n", netns, ...line.split(" ")] };
}
