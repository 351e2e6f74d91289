import { slotsCount } from "#replica/base/limits.ts";
import { heartbeatsPerSuspicion as beats } from "#replica/base/timing.ts";
import { quantityCompare, quantityFrom } from "./quantity.ts";
import type { RoomShard, RoomShardSpec } from "./room-shard.ts";
import { nameLengthMax, namePattern } from "./spec-schema.ts";

/** A rule over several fields or over two versions: in CEL for the API server, and its twin. */
export interface Rule {
  /** Stable name; the cases refer to it. */
  readonly id: string;
  /** Field that the refusal points at. */
  readonly fieldPath: string;
  /** CEL over `self`, the whole object, and `oldSelf` in rules of change. */
  readonly cel: string;
  /** The refusal: a sentence that says what to do. */
  readonly message: string;
  /** True when the object is fine. `old` is the stored object; rules of change pass without. */
  readonly holds: (shard: RoomShard, old: RoomShard | undefined) => boolean;
}

type Of<T> = (spec: RoomShardSpec) => T;

function unchanged(path: string, of: Of<string | undefined>, optional: boolean): Rule {
  const [now, before] = [`self.spec.${path}`, `oldSelf.spec.${path}`];
  const same = `${now} == ${before}`;
  return {
    id: `${path}-immutable`,
    fieldPath: `.spec.${path}`,
    cel: optional ? `has(${now}) == has(${before}) && (!has(${now}) || ${same})` : same,
    message: `${path} cannot be changed; make a new shard instead.`,
    holds: (shard, old) => old === undefined || of(shard.spec) === of(old.spec),
  };
}

const size = "quantity(self.spec.storage.size)";
const walSize = "quantity(self.spec.storage.walSize)";

const storageRules: readonly Rule[] = [
  {
    id: "size-minimum",
    fieldPath: ".spec.storage.size",
    cel: `${size}.compareTo(quantity('4Gi')) >= 0`,
    message: "storage.size must be at least 4Gi.",
    holds: ({ spec }) => quantityCompare(spec.storage.size, "4Gi") >= 0,
  },
  {
    id: "size-grows",
    fieldPath: ".spec.storage.size",
    cel: `${size}.compareTo(quantity(oldSelf.spec.storage.size)) >= 0`,
    message: "storage.size may only grow.",
    holds: ({ spec }, old) =>
      old === undefined || quantityCompare(spec.storage.size, old.spec.storage.size) >= 0,
  },
  {
    id: "wal-minimum",
    fieldPath: ".spec.storage.walSize",
    cel: `${walSize}.compareTo(quantity('32Mi')) >= 0`,
    message: "storage.walSize must be at least 32Mi.",
    holds: ({ spec }) => quantityCompare(spec.storage.walSize, "32Mi") >= 0,
  },
  {
    id: "wal-quarter",
    fieldPath: ".spec.storage.walSize",
    cel: `${walSize}.add(${walSize}).add(${walSize}).add(${walSize}).compareTo(${size}) <= 0`,
    message: "storage.walSize must be at most a quarter of storage.size.",
    holds: ({ spec }) =>
      (quantityFrom(spec.storage.walSize) ?? 0n) * 4n <= (quantityFrom(spec.storage.size) ?? 0n),
  },
  unchanged("storage.walSize", (spec) => spec.storage.walSize, false),
  unchanged("storage.className", (spec) => spec.storage.className, true),
];

const timingRules: readonly Rule[] = [
  {
    id: "suspect-after-heartbeats",
    fieldPath: ".spec.timing.suspectMs",
    cel: `self.spec.timing.suspectMs >= ${beats} * self.spec.timing.heartbeatMs`,
    message: `timing.suspectMs must be at least ${beats} times timing.heartbeatMs.`,
    holds: ({ spec: { timing } }) => {
      return timing.suspectMs >= beats * timing.heartbeatMs;
    },
  },
  {
    id: "view-change-after-suspicion",
    fieldPath: ".spec.timing.viewChangeMs",
    cel: "self.spec.timing.viewChangeMs >= self.spec.timing.suspectMs",
    message: "timing.viewChangeMs must be at least timing.suspectMs.",
    holds: ({ spec }) => spec.timing.viewChangeMs >= spec.timing.suspectMs,
  },
];

function slotsText(spec: RoomShardSpec): string | undefined {
  const slots = spec.initialSlots;
  return slots === undefined ? undefined : `${slots.first}+${slots.count}`;
}

/** Every rule, in the order in which refusals are listed. All stand at the root of the schema. */
export const rules: readonly Rule[] = [
  {
    id: "name",
    fieldPath: ".metadata.name",
    cel:
      `self.metadata.name.size() <= ${nameLengthMax} && ` +
      `self.metadata.name.matches('${namePattern}')`,
    message:
      `the name must have at most ${nameLengthMax} characters of a-z, 0-9 and -, ` +
      "and start with a letter.",
    holds: ({ metadata }) =>
      metadata.name.length <= nameLengthMax && new RegExp(namePattern).test(metadata.name),
  },
  unchanged("fleet", (spec) => spec.fleet, false),
  unchanged("tenant", (spec) => spec.tenant, false),
  unchanged("initialSlots", slotsText, true),
  {
    id: "slots-within-space",
    fieldPath: ".spec.initialSlots",
    cel:
      "!has(self.spec.initialSlots) || " +
      `self.spec.initialSlots.first + self.spec.initialSlots.count <= ${slotsCount}`,
    message: `initialSlots must end within the space: first + count <= ${slotsCount}.`,
    holds: ({ spec }) =>
      spec.initialSlots === undefined ||
      spec.initialSlots.first + spec.initialSlots.count <= slotsCount,
  },
  ...storageRules,
  {
    id: "memory-limit",
    fieldPath: ".spec.resources.limits.memory",
    cel:
      "quantity(self.spec.resources.limits.memory)" +
      ".compareTo(quantity(self.spec.resources.requests.memory)) >= 0",
    message: "resources.limits.memory must be at least resources.requests.memory.",
    holds: ({ spec }) =>
      quantityCompare(spec.resources.limits.memory, spec.resources.requests.memory) >= 0,
  },
  ...timingRules,
  {
    id: "not-draining-and-fenced",
    fieldPath: ".spec.fenced",
    cel: "!(self.spec.lifecycle == 'Draining' && self.spec.fenced.size() > 0)",
    message: "a draining shard cannot have a fenced replica: unfence it first.",
    holds: ({ spec }) => !(spec.lifecycle === "Draining" && spec.fenced.length > 0),
  },
];
