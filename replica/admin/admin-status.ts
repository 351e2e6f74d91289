import { machineVersionEnd } from "./admin-calls.ts";
import { Fields, type Checked } from "./checked.ts";
import { hex32, hex64, sentence, shardName } from "./patterns.ts";

/**
 * What a replica is doing. `syncing` fetches a peer's checkpoint; `learner` has no vote yet, `lost`
 * none any more.
 */
export const adminStates = [
  "unformatted",
  "formatted",
  "normal",
  "view_change",
  "recovering_head",
  "syncing",
  "learner",
  "lost",
  "poisoned",
  "stopped",
] as const;

/** State of a replica process. */
export type AdminState = (typeof adminStates)[number];

/** How a replica sees one of its peers. */
export interface AdminPeer {
  readonly replica: number;
  readonly connected: boolean;
  /** Ops that the peer is behind this replica's commit; null = not known. */
  readonly lagOps: number | null;
}

/** Answer of GET /v1/status. Facts that an unformatted volume lacks are null. */
export interface AdminStatus {
  readonly replica: number;
  readonly shard: string;
  readonly cluster: string;
  readonly state: AdminState;
  readonly incarnation: string | null;
  readonly publicKey: string | null;
  /** A key that a rotation made and that is not alone yet; absent: no rotation is under way. */
  readonly nextKey?: string;
  readonly formationId: string | null;
  readonly view: number | null;
  readonly primary: number | null;
  readonly head: number | null;
  readonly commitMin: number | null;
  readonly commitMax: number | null;
  readonly checkpointOp: number | null;
  readonly voting: boolean;
  /** Voting, normal in the current view, and at most a bounded number of ops behind. */
  readonly caughtUp: boolean;
  readonly slots: { readonly owned: number; readonly epoch: number };
  readonly version: string;
  /** Version of the machine that runs (null: no replica runs) and those that this build can run. */
  readonly machine: { readonly version: number | null; readonly min: number; readonly max: number };
  /** SHA-256 of the trust bundle that the process uses now. */
  readonly trustFingerprint: string | null;
  readonly peers: readonly AdminPeer[];
  /** What keeps the replica from going on, naming what is missing; empty in good times. */
  readonly alarms: readonly string[];
  /** Why the state is what it is, for people; "" when there is nothing to say. */
  readonly message: string;
}

const alarmsMax = 16;
const members = [
  ..."replica shard cluster state incarnation publicKey formationId view primary head".split(" "),
  ..."commitMin commitMax checkpointOp voting caughtUp slots version machine".split(" "),
  ..."trustFingerprint peers alarms message nextKey".split(" "),
];

function peerFrom(fields: Fields): AdminPeer {
  return {
    replica: fields.integer("replica", 0, 2),
    connected: fields.flag("connected"),
    lagOps: fields.integerOrNull("lagOps", 0, Number.MAX_SAFE_INTEGER),
  };
}

/** Reads the answer of GET /v1/status. */
export function checkAdminStatus(value: unknown): Checked<AdminStatus> {
  const fields = new Fields(value, members);
  const slots = fields.object("slots", ["owned", "epoch"]);
  const machine = fields.object("machine", ["version", "min", "max"]);
  const rotation = fields.has("nextKey")
    ? { nextKey: fields.text("nextKey", hex64, "64 hex digits") }
    : {};
  const count = (name: string) => fields.integerOrNull(name, 0, Number.MAX_SAFE_INTEGER);
  return fields.finish({
    replica: fields.integer("replica", 0, 2),
    shard: fields.text("shard", shardName, "a shard's name"),
    cluster: fields.text("cluster", hex32, "32 hex digits"),
    state: fields.word("state", adminStates),
    incarnation: fields.textOrNull("incarnation", hex32, "32 hex digits"),
    publicKey: fields.textOrNull("publicKey", hex64, "64 hex digits"),
    ...rotation,
    formationId: fields.textOrNull("formationId", hex64, "64 hex digits"),
    view: count("view"),
    primary: fields.integerOrNull("primary", 0, 2),
    head: count("head"),
    commitMin: count("commitMin"),
    commitMax: count("commitMax"),
    checkpointOp: count("checkpointOp"),
    voting: fields.flag("voting"),
    caughtUp: fields.flag("caughtUp"),
    slots: { owned: slots.integer("owned", 0, 4096), epoch: slots.integer("epoch", 0, 2 ** 40) },
    version: fields.text("version", sentence, "text"),
    machine: {
      version: machine.integerOrNull("version", 1, machineVersionEnd),
      min: machine.integer("min", 1, machineVersionEnd),
      max: machine.integer("max", 1, machineVersionEnd),
    },
    trustFingerprint: fields.textOrNull("trustFingerprint", hex64, "64 hex digits"),
    peers: fields.objects("peers", 0, 2, ["replica", "connected", "lagOps"]).map(peerFrom),
    alarms: fields.texts("alarms", alarmsMax, sentence, "text"),
    message: fields.text("message", sentence, "text"),
  });
}
