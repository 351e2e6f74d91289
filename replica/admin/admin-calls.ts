import { slotsCount } from "#replica/base/limits.ts";
import { Fields, type Checked } from "./checked.ts";
import { hex128, hex32, hex64, pem } from "./patterns.ts";

/** Paths of the admin port, with their method. */
export const adminCalls = {
  status: { method: "GET", path: "/v1/status" },
  identity: { method: "POST", path: "/v1/identity" },
  certificate: { method: "POST", path: "/v1/certificate" },
  genesis: { method: "POST", path: "/v1/genesis" },
  transfer: { method: "POST", path: "/v1/transfer" },
  replace: { method: "POST", path: "/v1/replace" },
  replacement: { method: "POST", path: "/v1/replacement" },
  rotate: { method: "POST", path: "/v1/rotate" },
  rekey: { method: "POST", path: "/v1/rekey" },
  upgrade: { method: "POST", path: "/v1/upgrade" },
  audit: { method: "POST", path: "/v1/audit" },
} as const;

/** Bytes of a request's body at most. */
export const adminBodyBytesMax = 64 * 1024;

/** Body of POST /v1/identity. */
export interface IdentityRequest {
  /** Random, 64 hex digits; the proof covers it. */
  readonly nonce: string;
}

/** Answer of POST /v1/identity: who this volume is, provably a holder of the bootstrap secret. */
export interface IdentityAnswer {
  readonly replica: number;
  readonly incarnation: string;
  /** Ed25519, 64 hex digits. */
  readonly publicKey: string;
  /** PKCS #10 request (RFC 2986) of that key, PEM. */
  readonly csr: string;
  /** HMAC-SHA256 by the bootstrap secret over {@link identityProofText}, 64 hex digits. */
  readonly proof: string;
}

/** Body of POST /v1/certificate. */
export interface CertificateRequest {
  /** PEM chain, leaf first. */
  readonly certificate: string;
}

/** One voter of a genesis. */
export interface GenesisMember {
  readonly replica: number;
  readonly incarnation: string;
  readonly publicKey: string;
}

/** Body of POST /v1/genesis: formats the volume. The same body on all three replicas. */
export interface GenesisRequest {
  /** Random, 64 hex digits, one a shard for ever. */
  readonly formationId: string;
  /** Three, in the order of their index. */
  readonly members: readonly GenesisMember[];
  readonly slots: { readonly first: number; readonly count: number; readonly epoch: number };
}

/** Body of POST /v1/transfer: makes `target` the primary if the view is still `view`. */
export interface TransferRequest {
  readonly view: number;
  readonly target: number;
}

/**
 * Body of POST /v1/upgrade, to the primary: the machine of the shard runs `version` from the next
 * checkpoint on. Needs all three, with builds that run it. Repeated until it is answered.
 */
export interface UpgradeRequest {
  readonly version: number;
}

/** Lines of one POST /v1/audit at most. */
export const auditLinesMax = 64;

/** A line for the audit log; replica/audit judges its members. */
export interface AuditLineRequest {
  /** UUIDv7 of the line, 32 hex digits: a line that is sent twice is written once. */
  readonly key: string;
  readonly kind: string;
  /** Wall clock of the operator, microseconds since 1970. */
  readonly atUs: number;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Body of POST /v1/audit, to any replica: what the operator did, oldest first. */
export interface AuditRequest {
  readonly lines: readonly AuditLineRequest[];
}

/** Newest version of a machine that a frame can name. */
export const machineVersionEnd = 2 ** 16 - 1;

/**
 * Body of POST /v1/replace, to the primary: the volume of `replica` is lost; this member, whose
 * volume is empty, takes its place if the view is still `view`. Repeated until it is answered.
 */
export interface ReplaceRequest extends GenesisMember {
  readonly view: number;
}

/** A voter now, and the op of the REPLACE or REKEY that made it so; 0 = by genesis. */
export interface CurrentMember extends GenesisMember {
  readonly replaceOp: number;
}

/** Members of a shard that are remembered; its oldest are forgotten. */
export const formerMembersMax = 64;

/** Answer of POST /v1/replace once it is committed, and body of POST /v1/replacement. */
export interface Replacement {
  /** The shard's genesis, as its volumes recorded it. */
  readonly genesis: GenesisRequest;
  /** Three, in the order of their index. */
  readonly members: readonly CurrentMember[];
  /** Members between genesis and those, oldest first; absent: none. */
  readonly former?: readonly CurrentMember[];
  /** The new volume has no vote before it holds everything up to this op. */
  readonly learnOp: number;
  /** View in which that op was known to be committed: the vote floor lies above it. */
  readonly view: number;
}

/**
 * Body of POST /v1/rotate, to the replica whose key shall change: makes the next key of its volume
 * if there is none yet.
 */
export interface RotateRequest {
  /** Random, 64 hex digits; the proof covers it. */
  readonly nonce: string;
  /**
   * The key that shall go: asked once more after it is gone, the call changes nothing. While a
   * rotation is under way either of its keys, which finds that one.
   */
  readonly retire: string;
}

/** Answer of POST /v1/rotate: the next key as {@link IdentityAnswer} has the first. */
export interface RotateAnswer extends IdentityAnswer {
  /** Ed25519 by the key that goes over {@link rekeyConsentText}, 128 hex digits. */
  readonly consent: string;
}

/**
 * Body of POST /v1/rekey, to the primary: from now on that member has this key, if the view is
 * still `view`. Only with the former key's consent. Repeated until it is answered.
 */
export interface RekeyRequest extends GenesisMember {
  readonly view: number;
  /** As {@link RotateAnswer} has it. */
  readonly consent: string;
}

/** What a volume's key signs to be followed by another one; UTF-8 of it is signed. */
export function rekeyConsentText(facts: {
  readonly cluster: string;
  readonly shard: string;
  readonly replica: number;
  readonly incarnation: string;
  readonly publicKey: string;
}): string {
  const { cluster, shard, replica, incarnation, publicKey } = facts;
  return ["tigerchat rekey", cluster, shard, replica, incarnation, publicKey].join("|");
}

/** Answer of calls that have nothing to say but that they were done. */
export interface DoneAnswer {
  readonly done: true;
}

/** The text that the proof of POST /v1/identity covers; UTF-8 of it goes into the HMAC. */
export function identityProofText(facts: {
  readonly nonce: string;
  readonly cluster: string;
  readonly shard: string;
  readonly replica: number;
  readonly publicKey: string;
}): string {
  return [facts.nonce, facts.cluster, facts.shard, facts.replica, facts.publicKey].join("|");
}

/** Reads the body of POST /v1/identity. */
export function checkIdentityRequest(value: unknown): Checked<IdentityRequest> {
  const fields = new Fields(value, ["nonce"]);
  return fields.finish({ nonce: fields.text("nonce", hex64, "64 hex digits") });
}

/** Reads the answer of POST /v1/identity. */
export function checkIdentityAnswer(value: unknown): Checked<IdentityAnswer> {
  const fields = new Fields(value, identityMembers);
  return fields.finish(identityFrom(fields));
}

const identityMembers = ["replica", "incarnation", "publicKey", "csr", "proof"];

function identityFrom(fields: Fields): IdentityAnswer {
  return {
    replica: fields.integer("replica", 0, 2),
    incarnation: fields.text("incarnation", hex32, "32 hex digits"),
    publicKey: fields.text("publicKey", hex64, "64 hex digits"),
    csr: fields.text("csr", pem, "a PEM certificate request"),
    proof: fields.text("proof", hex64, "64 hex digits"),
  };
}

/** Reads the body of POST /v1/certificate. */
export function checkCertificateRequest(value: unknown): Checked<CertificateRequest> {
  const fields = new Fields(value, ["certificate"]);
  return fields.finish({ certificate: fields.text("certificate", pem, "a PEM chain") });
}

/** Reads the body of POST /v1/genesis. */
export function checkGenesisRequest(value: unknown): Checked<GenesisRequest> {
  const fields = new Fields(value, genesisMembers);
  return fields.finish(genesisFrom(fields));
}

const genesisMembers = ["formationId", "members", "slots"];

function genesisFrom(fields: Fields): GenesisRequest {
  const slots = fields.object("slots", ["first", "count", "epoch"]);
  const first = slots.integer("first", 0, slotsCount);
  const count = slots.integer("count", 0, slotsCount);
  if (first + count > slotsCount) slots.refuse("count", `reaches over slot ${slotsCount}`);
  const list = fields.objects("members", 3, 3, ["replica", "incarnation", "publicKey"]);
  const members = list.map((member, index) => ({
    replica: member.integer("replica", index, index),
    incarnation: member.text("incarnation", hex32, "32 hex digits"),
    publicKey: member.text("publicKey", hex64, "64 hex digits"),
  }));
  if (new Set(members.map((member) => member.publicKey)).size !== members.length) {
    fields.refuse("members", "must have three different keys");
  }
  return {
    formationId: fields.text("formationId", hex64, "64 hex digits"),
    members,
    slots: { first, count, epoch: slots.integer("epoch", 1, 2 ** 40) },
  };
}

/** Reads the body of POST /v1/replace. */
export function checkReplaceRequest(value: unknown): Checked<ReplaceRequest> {
  const fields = new Fields(value, ["view", "replica", "incarnation", "publicKey"]);
  return fields.finish({
    view: fields.integer("view", 0, Number.MAX_SAFE_INTEGER),
    replica: fields.integer("replica", 0, 2),
    incarnation: fields.text("incarnation", hex32, "32 hex digits"),
    publicKey: fields.text("publicKey", hex64, "64 hex digits"),
  });
}

/** Reads the body of POST /v1/rotate. */
export function checkRotateRequest(value: unknown): Checked<RotateRequest> {
  const fields = new Fields(value, ["nonce", "retire"]);
  return fields.finish({
    nonce: fields.text("nonce", hex64, "64 hex digits"),
    retire: fields.text("retire", hex64, "64 hex digits"),
  });
}

/** Reads the answer of POST /v1/rotate. */
export function checkRotateAnswer(value: unknown): Checked<RotateAnswer> {
  const fields = new Fields(value, [...identityMembers, "consent"]);
  const consent = fields.text("consent", hex128, "128 hex digits");
  return fields.finish({ ...identityFrom(fields), consent });
}

/** Reads the body of POST /v1/rekey. */
export function checkRekeyRequest(value: unknown): Checked<RekeyRequest> {
  const fields = new Fields(value, ["view", "replica", "incarnation", "publicKey", "consent"]);
  return fields.finish({
    view: fields.integer("view", 0, Number.MAX_SAFE_INTEGER),
    replica: fields.integer("replica", 0, 2),
    incarnation: fields.text("incarnation", hex32, "32 hex digits"),
    publicKey: fields.text("publicKey", hex64, "64 hex digits"),
    consent: fields.text("consent", hex128, "128 hex digits"),
  });
}

/** Reads the body of POST /v1/upgrade. */
export function checkUpgradeRequest(value: unknown): Checked<UpgradeRequest> {
  const fields = new Fields(value, ["version"]);
  return fields.finish({ version: fields.integer("version", 1, machineVersionEnd) });
}

/** Reads the body of POST /v1/audit. */
export function checkAuditRequest(value: unknown): Checked<AuditRequest> {
  const fields = new Fields(value, ["lines"]);
  const names = ["key", "kind", "atUs", "facts"];
  const lines = fields.objects("lines", 1, auditLinesMax, names).map((line) => {
    return {
      key: line.text("key", /^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/, "a UUIDv7 in hex"),
      kind: line.text("kind", /^[a-z][a-z0-9_]{0,39}$/, "a word"),
      atUs: line.integer("atUs", 0, Number.MAX_SAFE_INTEGER),
      facts: line.record("facts"),
    };
  });
  return fields.finish({ lines });
}

/** Reads the answer of POST /v1/replace, which is the body of POST /v1/replacement. */
export function checkReplacement(value: unknown): Checked<Replacement> {
  const fields = new Fields(value, ["genesis", "members", "former", "learnOp", "view"]);
  const members = fields
    .objects("members", 3, 3, memberNames)
    .map((member, index) => memberFrom(member, index, index));
  const former = fields.has("former") ? { former: formerFrom(fields, "former") } : {};
  return fields.finish({
    genesis: genesisFrom(fields.object("genesis", genesisMembers)),
    members,
    ...former,
    learnOp: fields.integer("learnOp", 1, Number.MAX_SAFE_INTEGER),
    view: fields.integer("view", 0, Number.MAX_SAFE_INTEGER),
  });
}

const memberNames = ["replica", "incarnation", "publicKey", "replaceOp"];

function memberFrom(member: Fields, first: number, last: number): CurrentMember {
  return {
    replica: member.integer("replica", first, last),
    incarnation: member.text("incarnation", hex32, "32 hex digits"),
    publicKey: member.text("publicKey", hex64, "64 hex digits"),
    replaceOp: member.integer("replaceOp", 0, Number.MAX_SAFE_INTEGER),
  };
}

function formerFrom(fields: Fields, name: string): readonly CurrentMember[] {
  const list = fields.objects(name, 0, formerMembersMax, memberNames);
  return list.map((member) => memberFrom(member, 0, 2));
}

/** Reads members as a volume keeps them. */
export function checkFormerMembers(value: unknown): Checked<readonly CurrentMember[]> {
  const fields = new Fields(value, ["members"]);
  return fields.finish(formerFrom(fields, "members"));
}

/** Reads the body of POST /v1/transfer. */
export function checkTransferRequest(value: unknown): Checked<TransferRequest> {
  const fields = new Fields(value, ["view", "target"]);
  return fields.finish({
    view: fields.integer("view", 0, Number.MAX_SAFE_INTEGER),
    target: fields.integer("target", 0, 2),
  });
}

/** Reads the answer of certificate, genesis, transfer, rekey and upgrade. */
export function checkDoneAnswer(value: unknown): Checked<DoneAnswer> {
  const fields = new Fields(value, ["done"]);
  if (!fields.flag("done")) fields.refuse("done", "must be true");
  return fields.finish({ done: true });
}
