import { compiledSchema } from "./compiled-schema.ts";
import type { FaultOf } from "./compiled-schema.ts";
import { keyField, roomField, userField } from "./fields.ts";
import {
  dmRequestSchema,
  loginRequestSchema,
  memberRequestSchema,
  postRequestSchema,
  quotasRequestSchema,
  retentionRequestSchema,
  roomRequestSchema,
  sanctionRequestSchema,
  sessionRequestSchema,
  settingsRequestSchema,
} from "./http-schemas.ts";
import type {
  DmRequest,
  LoginRequest,
  MemberRequest,
  PostRequest,
  QuotasRequest,
  RetentionRequest,
  RoomRequest,
  SanctionRequest,
  SessionRequest,
  SettingsRequest,
} from "./http-schemas.ts";

/** A checked value, or a sentence that says what is wrong with it. */
export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly detail: string };

function checker<T>(faultOf: FaultOf): (value: unknown) => Checked<T> {
  return (value) => {
    const detail = faultOf(value);
    return detail === null ? { ok: true, value: value as T } : { ok: false, detail };
  };
}

/** Checks the body of POST /v1/rooms. */
export const checkRoomRequest = checker<RoomRequest>(compiledSchema(roomRequestSchema));
/** Checks the body of POST /v1/dms. */
export const checkDmRequest = checker<DmRequest>(compiledSchema(dmRequestSchema));
/** Checks the body of POST /v1/rooms/{room}/sessions. */
export const checkSessionRequest = checker<SessionRequest>(compiledSchema(sessionRequestSchema));
/** Checks the body of POST /v1/rooms/{room}/events; its size in bytes is checked apart. */
export const checkPostRequest = checker<PostRequest>(compiledSchema(postRequestSchema));
/** Checks the body of PUT …/members/{user}. */
export const checkMemberRequest = checker<MemberRequest>(compiledSchema(memberRequestSchema));
/** Checks the body of PUT …/bans/{user} and …/mutes/{user}. */
export const checkSanctionRequest = checker<SanctionRequest>(compiledSchema(sanctionRequestSchema));
/** Checks the body of PUT …/settings. */
export const checkSettingsRequest = checker<SettingsRequest>(compiledSchema(settingsRequestSchema));
/** Checks the body of PUT /v1/quotas and …/quotas. */
export const checkQuotasRequest = checker<QuotasRequest>(compiledSchema(quotasRequestSchema));
/** Checks the body of PUT /v1/retention and …/retention. */
export const checkRetentionRequest = checker<RetentionRequest>(
  compiledSchema(retentionRequestSchema),
);
/** Checks the body of POST /v1/logins. */
export const checkLoginRequest = checker<LoginRequest>(compiledSchema(loginRequestSchema));
/** Checks a room id. */
export const checkRoom = checker<string>(compiledSchema(roomField));
/** Checks a user id. */
export const checkUser = checker<string>(compiledSchema(userField));
/** Checks an idempotency key. */
export const checkKey = checker<string>(compiledSchema(keyField));
