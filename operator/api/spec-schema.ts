import {
  quorumReplication,
  quorumViewChange,
  replicasCount,
  slotsCount,
} from "#replica/base/limits.ts";
import { bytesPattern, processorsPattern } from "./quantity.ts";
import type { RoomShardSpec, SlotRange, Toleration } from "./room-shard.ts";
import type { FieldsOf, IntegerSchema, ObjectSchema, Schema, TextSchema } from "./schema.ts";

/** Names of shards and fleets: they become names of pods, claims and directories. */
export const namePattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$";
/** Characters of a shard's or fleet's name at most. */
export const nameLengthMax = 40;

function text(description: string, lengthMax: number, more: Partial<TextSchema> = {}): TextSchema {
  return { kind: "text", description, lengthMax, ...more };
}

function choice(description: string, values: readonly string[]): TextSchema {
  const first = values[0] ?? "";
  return { kind: "text", description, lengthMax: 32, values, default: first };
}

function whole(
  description: string,
  min: number,
  max: number,
  more: Partial<IntegerSchema>,
): IntegerSchema {
  return { kind: "integer", description, min, max, ...more };
}

function group(description: string, fields: { readonly [name: string]: Schema }): ObjectSchema {
  return { kind: "object", description, fields, default: {} };
}

function bytes(description: string, value: string): TextSchema {
  return text(description, 19, {
    pattern: bytesPattern,
    expects: "a size such as 20Gi or 64Mi",
    default: value,
  });
}

const slots: FieldsOf<SlotRange> = {
  first: whole("First slot of the range.", 0, slotsCount - 1, {}),
  count: whole("Number of slots in the range.", 1, slotsCount, {}),
};

const storage: FieldsOf<RoomShardSpec["storage"]> = {
  size: bytes("Size of each replica's claim, at least 4Gi. It may grow, never shrink.", "20Gi"),
  className: text("StorageClass of the claims; absent means the default class. Immutable.", 253, {
    pattern: "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
    expects: "the name of a StorageClass",
    optional: true,
  }),
  walSize: bytes(
    "Size of the write-ahead log, made at genesis: 32Mi to a quarter of size. Immutable.",
    "1Gi",
  ),
};

const processors = { pattern: processorsPattern, expects: "processors such as 1 or 250m" };

const resources: FieldsOf<RoomShardSpec["resources"]> = {
  requests: group("What the scheduler sets aside for a replica.", {
    cpu: text("Processors set aside for a replica.", 10, { ...processors, default: "1" }),
    memory: bytes("Memory set aside for a replica.", "2Gi"),
  }),
  limits: group("What a replica may use at most.", {
    memory: bytes("Memory over which a replica is killed; at least what it requests.", "2Gi"),
    cpu: text(
      "Processors at most; absent means no limit, as advised: throttling looks like a failure.",
      10,
      { ...processors, optional: true },
    ),
  }),
};

const tolerationFields: FieldsOf<Toleration> = {
  key: text("Taint key that is tolerated; absent with operator Exists means all.", 316, {
    optional: true,
  }),
  operator: text("How the key relates to the value: Exists or Equal.", 8, {
    values: ["Exists", "Equal"],
    optional: true,
  }),
  value: text("Taint value that is tolerated.", 63, { optional: true }),
  effect: text("Taint effect that is tolerated; absent means all.", 32, {
    values: ["NoSchedule", "PreferNoSchedule", "NoExecute"],
    optional: true,
  }),
  tolerationSeconds: whole("How long a NoExecute taint is tolerated, in seconds.", 0, 2 ** 31, {
    optional: true,
  }),
};

const scheduling: FieldsOf<RoomShardSpec["scheduling"]> = {
  hosts: choice("Whether two replicas may share a node: Required keeps them apart, always.", [
    "Required",
    "Preferred",
  ]),
  zones: choice("Whether replicas must spread over zones, or do so when they can.", [
    "Preferred",
    "Required",
  ]),
  nodeSelector: {
    kind: "map",
    description: "Labels that a node must have to run a replica.",
    countMax: 32,
    lengthMax: 63,
    optional: true,
  },
  tolerations: {
    kind: "list",
    description: "Taints that replicas tolerate.",
    countMax: 16,
    optional: true,
    items: { kind: "object", description: "One tolerated taint.", fields: tolerationFields },
  },
  priorityClassName: text("PriorityClass of the pods.", 253, { optional: true }),
};

const timing: FieldsOf<RoomShardSpec["timing"]> = {
  heartbeatMs: whole("Milliseconds between two signs of life of the primary.", 5, 10_000, {
    default: 20,
  }),
  suspectMs: whole(
    "Milliseconds of silence after which a backup suspects the primary; at least 4 heartbeats.",
    20,
    60_000,
    { default: 100 },
  ),
  viewChangeMs: whole(
    "Milliseconds after which an unfinished view change tries the next view; at least suspectMs.",
    20,
    60_000,
    { default: 150 },
  ),
};

const voters = [quorumReplication] as const;

const fields: FieldsOf<RoomShardSpec> = {
  fleet: text(
    "Fleet of the shard: shards of one namespace and fleet share slots, CA and edge.",
    40,
    {
      pattern: namePattern,
      expects: "a name of a-z, 0-9 and -, starting with a letter",
      default: "default",
    },
  ),
  tenant: text('Tenant whose own slot space this shard serves; "" is the shared space.', 128, {
    default: "",
  }),
  initialSlots: {
    kind: "object",
    description:
      "Slots that the shard owns at genesis; absent: the whole space if nobody owns it, else none.",
    fields: slots,
    optional: true,
  },
  replicas: whole("Voting replicas of the shard: always 3.", 3, 3, {
    values: [replicasCount],
    default: replicasCount,
  }),
  lifecycle: choice("Active serves; Draining moves all slots away; Hibernated stops the pods.", [
    "Active",
    "Draining",
    "Hibernated",
  ]),
  paused: {
    kind: "flag",
    description: "True stops the operator from changing this shard; the shard itself goes on.",
    default: false,
  },
  fenced: {
    kind: "list",
    description: "Replicas that are kept from running, at most one.",
    countMax: 1,
    set: true,
    default: [],
    items: whole("Index of a replica.", 0, 2, {}),
  },
  image: text('Image of the replicas; "" means that of the operator\'s release.', 512, {
    default: "",
  }),
  update: group("How a new pod template reaches the replicas.", {
    policy: choice(
      "Automatic rolls at once; OnRequest waits for the annotation tigerchat.dev/roll.",
      ["Automatic", "OnRequest"],
    ),
  }),
  storage: group("Disks of the replicas. Claims are always retained.", storage),
  keys: group("How long and how many idempotency keys are remembered.", {
    windowHours: whole("Hours for which a key is remembered.", 1, 720, { default: 24 }),
    max: whole("Keys remembered at most; when full, writes are answered busy.", 1, 10 ** 9, {
      default: 100_000_000,
    }),
  }),
  encryption: {
    kind: "object",
    description: "Key that wraps the data keys at rest; absent: the operator makes <name>-keys.",
    optional: true,
    fields: {
      keySecretName: text("Secret whose entry kek holds 32 bytes as 64 hex digits.", 253, {
        pattern: "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        expects: "the name of a Secret",
      }),
    },
  },
  resources: group("Processors and memory of each replica.", resources),
  scheduling: group("Where replicas may run.", scheduling),
  primary: group("Which replica should be the primary.", {
    placement: choice("Whether metrics may move the primary, only recommend it, or neither.", [
      "Automatic",
      "Recommend",
      "Off",
    ]),
    preferred: whole("Replica that should be primary whenever it can; outranks metrics.", 0, 2, {
      optional: true,
    }),
  }),
  drain: group("Moving slots away from an overloaded or slow shard.", {
    automatic: choice("Whether the operator only recommends a drain, does it, or neither.", [
      "Recommend",
      "Enabled",
      "Off",
    ]),
  }),
  timing: group("Clock of the replication protocol.", timing),
  quorum: group("Sizes of the quorums; shown because they matter, fixed for three replicas.", {
    replication: whole("Replicas that must hold a batch on disk before it is acknowledged.", 2, 2, {
      values: voters,
      default: quorumReplication,
    }),
    viewChange: whole("Replicas that must agree before a new primary starts.", 2, 2, {
      values: voters,
      default: quorumViewChange,
    }),
  }),
  retention: group("How long history is kept.", {
    days: whole("Days after which entries are dropped; 0 keeps them for ever.", 0, 36_500, {
      default: 0,
    }),
  }),
};

/** Schema of `spec`; may be absent as a whole. */
export const specSchema: ObjectSchema = group("What is asked of the shard.", fields);
