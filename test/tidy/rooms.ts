/** One room of the house: a folder with a border. */
export interface Room {
  /** Path from the repository's root. */
  readonly path: string;
  /** No I/O, clock, chance or async; compiles with no ambient types. */
  readonly pure: boolean;
  /** Rooms that its production code may import, besides itself. */
  readonly imports: readonly string[];
  /** npm packages and Node modules that it may import; "*" = any. Pure rooms: none or typebox. */
  readonly packages: readonly string[];
}

function pure(path: string, imports: readonly string[], packages: readonly string[] = []): Room {
  return { path, pure: true, imports, packages };
}

function adapter(path: string, imports: readonly string[], packages: readonly string[]): Room {
  return { path, pure: false, imports, packages };
}

const floor = ["replica/base", "replica/wire"];
const consensus = ["replica/vsr", "replica/journal", "replica/snapshot", "replica/client"];
const replicaRooms = [
  ...floor,
  ...consensus,
  "replica/proof",
  "replica/admin",
  "replica/machine",
  "replica/audit",
  "replica/crypto",
  "replica/storage",
  "replica/transport",
];
const operatorPure = ["operator/api", "operator/desired", "operator/policy"];
const operatorRooms = [
  ...operatorPure,
  "operator/pki",
  "operator/kube",
  "operator/prometheus",
  "operator/reconcile",
];
const operatorBorders = [
  "replica/base",
  "replica/wire",
  "replica/admin",
  "replica/transport",
  "replica/crypto",
];
const edgePure = [
  "edge/api",
  "edge/auth",
  "edge/limit",
  "edge/routing",
  "edge/fanout",
  "edge/connection",
];
const edgeRooms = [...edgePure, "edge/bus", "edge/http", "edge/ws"];
const edgeBorders = [...floor, "replica/client", "replica/transport", "replica/crypto"];

/**
 * Who may import whom. Production code only: tests may import everything, and nobody imports test.
 * The boundary check, the tsconfig references and the canaries all read this table.
 */
export const rooms: readonly Room[] = [
  pure("replica/base", []),
  pure("replica/wire", ["replica/base"]),
  pure("replica/proof", floor),
  pure("replica/admin", floor),
  pure("replica/vsr", floor),
  pure("replica/journal", floor),
  pure("replica/snapshot", floor),
  pure("replica/client", floor),
  pure("replica/machine", [...floor, "replica/proof"]),
  pure("replica/audit", [...floor, "replica/proof", "replica/machine"]),
  adapter("replica/crypto", floor, ["node:*", "@noble/ed25519"]),
  adapter(
    "replica/storage",
    [...floor, "replica/crypto", "replica/journal", "replica/snapshot"],
    ["node:*"],
  ),
  adapter("replica/transport", [...floor, "replica/client", "replica/crypto"], ["node:*"]),
  adapter("replica/server", replicaRooms, ["node:*", "prom-client"]),
  pure("operator/api", ["replica/base"]),
  pure("operator/desired", ["replica/base", "operator/api"]),
  pure("operator/policy", ["replica/base", "operator/api"]),
  adapter("operator/pki", [...operatorRooms, ...operatorBorders], ["*"]),
  adapter("operator/kube", [...operatorRooms, ...operatorBorders], ["*"]),
  adapter("operator/prometheus", [...operatorRooms, ...operatorBorders], ["*"]),
  adapter("operator/reconcile", [...operatorRooms, ...operatorBorders], ["*"]),
  adapter(
    "operator/tigerctl",
    [
      ...operatorRooms,
      ...operatorBorders,
      "replica/client",
      "replica/journal",
      "replica/audit",
      "replica/proof",
    ],
    ["*"],
  ),
  adapter("operator/server", [...operatorRooms, ...operatorBorders], ["*"]),
  pure("edge/api", floor, ["typebox"]),
  pure("edge/auth", ["edge/api", ...floor]),
  pure("edge/limit", ["edge/api", ...floor]),
  pure("edge/routing", ["edge/api", ...floor, "replica/client"]),
  pure("edge/fanout", ["edge/api", ...floor]),
  pure("edge/connection", [
    "edge/api",
    "edge/auth",
    "edge/limit",
    "edge/fanout",
    "edge/routing",
    ...floor,
    "replica/client",
  ]),
  adapter("edge/bus", [...edgeRooms, ...edgeBorders], ["*"]),
  adapter("edge/http", [...edgeRooms, ...edgeBorders], ["*"]),
  adapter("edge/ws", [...edgeRooms, ...edgeBorders], ["*"]),
  adapter("edge/server", [...edgeRooms, ...edgeBorders], ["*"]),
  adapter("edge/sdk/js", [], ["@noble/ed25519"]),
  adapter("edge/web", ["edge/sdk/js"], ["*"]),
  adapter(
    "deploy/local",
    ["operator/api", "operator/desired", "operator/pki", "replica/base", "replica/admin"],
    ["*"],
  ),
  adapter("deploy/images", [], ["*"]),
];

/** Rooms whose folder is a program: nobody imports from them. */
export const programs: readonly string[] = [
  "replica/server",
  "operator/server",
  "operator/tigerctl",
  "edge/server",
  "deploy/local",
];

/** Besides operator/pki, the only production room with a door to node:crypto. */
export const cryptoDoors: readonly string[] = ["replica/crypto", "operator/pki"];
