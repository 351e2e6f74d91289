import { keyField, roomField, userField } from "./fields.ts";
import type { HttpCall, HttpParameter } from "./http-call.ts";
import type { HttpSchemaName } from "./http-schemas.ts";

const room: HttpParameter = { name: "room", in: "path", required: true, schema: roomField };
const user: HttpParameter = { name: "user", in: "path", required: true, schema: userField };
const key: HttpParameter = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  schema: keyField,
};
const errors = [
  "BAD_FRAME",
  "TOKEN_EXPIRED",
  "TOKEN_INVALID",
  "DENIED",
  "BANNED",
  "QUOTA",
  "NO_ROOM",
  "KEY_MISMATCH",
  "KEY_TOO_OLD",
  "KEY_IN_FUTURE",
  "BAD_POST",
  "RATE_LIMITED",
  "NO_LEADER",
  "UNKNOWN_OUTCOME",
] as const;
const result: HttpSchemaName = "PostResult";
const mediaType = "application/json";
const answers = {
  200: { description: "Committed before.", schema: result, mediaType },
  201: { description: "Committed as an entry of the room.", schema: result, mediaType },
};

function change(
  method: "put" | "delete",
  id: string,
  place: string,
  words: readonly [summary: string, description: string],
  body: HttpSchemaName | null,
): HttpCall {
  const [summary, description] = words;
  const parameters = place.includes("{user}") ? [room, user, key] : [room, key];
  return {
    id,
    method,
    path: `/v1/rooms/{room}/${place}`,
    summary,
    description,
    auth: ["session", "apiKey"],
    parameters,
    body,
    answers,
    errors,
  };
}

const who =
  "An API key acts with the authority of the tenant's server; a session by the role of its user.";
const both = "Lower roles only; moderators and owners may.";

function byVersion(id: string, path: string, summary: string, body: HttpSchemaName): HttpCall {
  return {
    id,
    method: "put",
    path,
    summary,
    description: "Harmless when repeated; STALE when a later version holds already.",
    auth: ["apiKey"],
    parameters: path.includes("{room}") ? [room] : [],
    body,
    answers: { 200: { description: "In force.", schema: "Quotas", mediaType } },
    errors: ["BAD_FRAME", "TOKEN_INVALID", "DENIED", "NO_ROOM", "STALE", "KEY_MISMATCH"].concat([
      "RATE_LIMITED",
      "NO_LEADER",
      "UNKNOWN_OUTCOME",
    ]) as HttpCall["errors"],
  };
}

/** Calls about who is in a room, under which rules. */
export const memberCalls: readonly HttpCall[] = [
  change("put", "setMember", "members/{user}", ["Give a role", who], "MemberRequest"),
  change("delete", "removeMember", "members/{user}", ["Take the role away", who], null),
  change("put", "ban", "bans/{user}", ["Ban", `${both} ${who}`], "SanctionRequest"),
  change("delete", "unban", "bans/{user}", ["Lift a ban", both], null),
  change("put", "mute", "mutes/{user}", ["Mute", `${both} ${who}`], "SanctionRequest"),
  change("delete", "unmute", "mutes/{user}", ["Lift a mute", both], null),
  change(
    "put",
    "setSettings",
    "settings",
    ["Set the rules", `Owners may. ${who}`],
    "SettingsRequest",
  ),
  byVersion("setTenantQuotas", "/v1/quotas", "Quotas of the tenant", "QuotasRequest"),
  byVersion("setRoomQuotas", "/v1/rooms/{room}/quotas", "Quotas of a room", "QuotasRequest"),
  byVersion("setTenantRetention", "/v1/retention", "Retention of the tenant", "RetentionRequest"),
  byVersion(
    "setRoomRetention",
    "/v1/rooms/{room}/retention",
    "Retention and legal hold of a room",
    "RetentionRequest",
  ),
  {
    id: "standing",
    method: "get",
    path: "/v1/rooms/{room}/standing",
    summary: "What a user is in a room",
    description: "Of the session's user; with an API key of `user`.",
    auth: ["session", "apiKey"],
    parameters: [room, { name: "user", in: "query", required: false, schema: userField }],
    body: null,
    answers: { 200: { description: "The standing.", schema: "Standing", mediaType } },
    errors: ["BAD_FRAME", "TOKEN_EXPIRED", "TOKEN_INVALID", "DENIED", "NO_ROOM", "NO_LEADER"],
  },
];
