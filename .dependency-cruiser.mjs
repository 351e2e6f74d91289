// The import table of test/tidy/rooms.ts as rules. Checked by test/tidy/boundaries.test.ts.
import { cryptoDoors, programs, rooms } from "./test/tidy/rooms.ts";

const literal = (text) => text.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");
const besideCode = "\\.(test|fuzz|bench)\\.tsx?$";

const edges = rooms.map((room) => ({
  name: `room ${room.path}`,
  severity: "error",
  comment: `${room.path} may import only: ${room.imports.join(", ") || "nothing of ours"}`,
  from: { path: `^${literal(room.path)}/`, pathNot: besideCode },
  to: {
    path: "^(replica|operator|edge|deploy|test)/",
    pathNot: [room.path, ...room.imports].map((path) => `^${literal(path)}/`),
  },
}));

const packages = rooms
  .filter((room) => !room.packages.includes("*"))
  .map((room) => ({
    name: `packages of ${room.path}`,
    severity: "error",
    comment: `${room.path} may import these packages only: ${room.packages.join(", ") || "none"}`,
    from: { path: `^${literal(room.path)}/`, pathNot: besideCode },
    to: {
      dependencyTypesNot: ["local", "aliased-subpath-import"],
      pathNot: [
        "^(replica|operator|edge|deploy|test)/",
        ...room.packages.flatMap((name) =>
          name === "node:*" ? [] : [`^node_modules/${literal(name)}/`],
        ),
      ],
      ...(room.packages.includes("node:*")
        ? { dependencyTypesNot: ["local", "aliased-subpath-import", "core"] }
        : {}),
    },
  }));

export default {
  forbidden: [
    ...edges,
    ...packages,
    {
      name: "no cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "nobody imports tests",
      severity: "error",
      from: { path: "^(replica|operator|edge|deploy)/", pathNot: besideCode },
      to: { path: `^test/|${besideCode}` },
    },
    ...programs.map((program) => ({
      name: `nobody imports ${program}`,
      severity: "error",
      from: {
        path: "^(replica|operator|edge|deploy)/",
        pathNot: [`^${literal(program)}/`, besideCode],
      },
      to: { path: `^${literal(program)}/` },
    })),
    {
      name: "doors to node:crypto",
      severity: "error",
      from: {
        path: "^(replica|operator|edge)/",
        pathNot: [...cryptoDoors.map((path) => `^${literal(path)}/`), "^edge/sdk/", besideCode],
      },
      to: { path: "^(node:)?crypto$" },
    },
    {
      name: "unresolvable",
      severity: "error",
      from: { pathNot: "^edge/web/" },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(test/tidy/fixtures|\\.cache|dist)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
