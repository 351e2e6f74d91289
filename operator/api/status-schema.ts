import { slotsCount } from "#replica/base/limits.ts";
import type { Condition, Decision, Member, RoomShardStatus } from "./room-shard.ts";
import { memberStates, phases } from "./room-shard.ts";
import type { FieldsOf, IntegerSchema, ObjectSchema, TextSchema } from "./schema.ts";

/** Characters of a message for people at most. */
export const messageLengthMax = 1024;

function text(description: string, lengthMax: number, values?: readonly string[]): TextSchema {
  return { kind: "text", description, lengthMax, ...(values === undefined ? {} : { values }) };
}

function optional(schema: TextSchema): TextSchema {
  return { ...schema, optional: true };
}

function count(description: string, max = Number.MAX_SAFE_INTEGER): IntegerSchema {
  return { kind: "integer", description, min: 0, max, optional: true };
}

const member: FieldsOf<Member> = {
  replica: { kind: "integer", description: "Index of the replica.", min: 0, max: 2 },
  state: text("What the replica is doing.", 32, memberStates),
  caughtUp: {
    kind: "flag",
    description: "Whether it votes and holds nearly all that is committed.",
  },
  incarnation: optional(text("Random name of this life of its disk.", 32)),
  publicKey: optional(
    text("Its Ed25519 key; annotate tigerchat.dev/rotate-key=REPLICA for another one.", 64),
  ),
  claimUID: optional(text("UID of its claim.", 36)),
  pod: optional(text("Name of its pod.", 63)),
  node: optional(text("Node that its pod runs on.", 253)),
  zone: optional(text("Zone of that node; absent when the operator may not read nodes.", 63)),
  version: optional(text("Release that it runs.", 64)),
  message: text("Why the state is what it is, for people.", messageLengthMax),
};

const condition: FieldsOf<Condition> = {
  type: text("What the condition is about.", 64),
  status: text("True, False, or Unknown when it cannot be told.", 7, ["True", "False", "Unknown"]),
  reason: text("One word for programs.", 64),
  message: text("A sentence for people.", messageLengthMax),
  observedGeneration: {
    kind: "integer",
    description: "Generation of the spec that this was judged by.",
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
  },
  lastTransitionTime: {
    ...text("When the status last changed.", 40),
    format: "date-time",
  },
};

const decision: FieldsOf<Decision> = {
  time: { ...text("When it was taken.", 40), format: "date-time" },
  action: text("What was to be done.", 64),
  result: text("What came of it.", 64),
  reason: text("Why.", messageLengthMax),
  inputs: {
    kind: "map",
    description: "Facts that it was based on.",
    countMax: 16,
    lengthMax: 256,
    optional: true,
  },
};

const fields: FieldsOf<RoomShardStatus> = {
  observedGeneration: count("Generation of the spec that this status is about."),
  phase: optional(text("State of the shard in one word.", 16, phases)),
  clusterID: optional(
    text("Identity of the fleet that the shard was formed in; a report only.", 32),
  ),
  primary: count("Replica that is the primary; absent when there is none.", 2),
  view: count("View of the shard: how often its primary changed, in essence."),
  voting: optional(text("Replicas that vote, of all.", 8)),
  version: optional(text("Oldest release that a replica runs.", 64)),
  image: optional(text("Image that the replicas should run.", 512)),
  templateHash: {
    kind: "object",
    description: "Pod templates by the hash of what matters in them.",
    optional: true,
    fields: {
      target: optional(text("Template that the replicas should run.", 32)),
      proven: optional(text("Last template that all three ran and were caught up with.", 32)),
    },
  },
  slots: {
    kind: "object",
    description: "Slots that the shard owns, as its log says.",
    optional: true,
    fields: {
      owned: { kind: "integer", description: "How many.", min: 0, max: slotsCount },
      epoch: {
        kind: "integer",
        description: "Epoch of the newest ownership.",
        min: 0,
        max: Number.MAX_SAFE_INTEGER,
      },
    },
  },
  nodes: optional(text("Nodes of the replicas, in their order.", 768)),
  members: {
    kind: "list",
    description: "The replicas, as they answered last.",
    countMax: 3,
    keys: ["replica"],
    optional: true,
    items: { kind: "object", description: "One replica.", fields: member },
  },
  lastDecision: {
    kind: "object",
    description: "The last thing that the operator decided about the shard.",
    optional: true,
    fields: decision,
  },
  conditions: {
    kind: "list",
    description: "Findings about the shard, one a type.",
    countMax: 16,
    keys: ["type"],
    optional: true,
    items: { kind: "object", description: "One finding.", fields: condition },
  },
};

/** Schema of `status`. */
export const statusSchema: ObjectSchema = {
  kind: "object",
  description: "What the operator sees; a report, never an authority.",
  fields,
  optional: true,
};
