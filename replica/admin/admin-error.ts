import { Fields, type Checked } from "./checked.ts";
import { sentence } from "./patterns.ts";

/** A row of the error table: what a code means, for programs and for people. */
export interface AdminErrorRow {
  /** HTTP status of the answer. */
  readonly status: number;
  readonly title: string;
  /** True when the same call may succeed later without any change by the caller. */
  readonly temporary: boolean;
}

/** Every refusal of the admin port. Codes are never reused for something else. */
export const adminErrors = {
  bad_request: { status: 400, title: "The request is not understood", temporary: false },
  not_authorised: { status: 403, title: "Only the operator's role may call", temporary: false },
  not_found: { status: 404, title: "No such call", temporary: false },
  method_not_allowed: { status: 405, title: "Wrong method for this call", temporary: false },
  too_large: { status: 413, title: "The request body is too large", temporary: false },
  no_identity: { status: 409, title: "The volume has no key yet", temporary: false },
  wrong_certificate: {
    status: 409,
    title: "The certificate is not for this key",
    temporary: false,
  },
  already_formatted: { status: 409, title: "The volume is already formatted", temporary: false },
  wrong_member: { status: 409, title: "The members do not name this volume", temporary: false },
  view_moved: { status: 409, title: "The view moved since the caller decided", temporary: false },
  not_primary: { status: 409, title: "This replica is not the primary", temporary: false },
  not_ready: { status: 409, title: "The replica cannot do this in its state", temporary: true },
  poisoned: { status: 409, title: "The volume is poisoned", temporary: false },
  disk: { status: 500, title: "The disk refused", temporary: false },
} as const satisfies Readonly<Record<string, AdminErrorRow>>;

/** Code of a refusal of the admin port. */
export type AdminErrorCode = keyof typeof adminErrors;

/** Body of a refusal: RFC 9457 problem details with a stable `code`. */
export interface AdminProblem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: AdminErrorCode;
  /** One sentence that says what to do. */
  readonly detail: string;
}

/** The body of a refusal. */
export function adminProblem(code: AdminErrorCode, detail: string): AdminProblem {
  const row = adminErrors[code];
  return {
    type: `urn:tigerchat:admin:${code}`,
    title: row.title,
    status: row.status,
    code,
    detail,
  };
}

/** Reads a refusal, for callers. */
export function checkAdminProblem(value: unknown): Checked<AdminProblem> {
  const fields = new Fields(value, ["type", "title", "status", "code", "detail"]);
  const codes = Object.keys(adminErrors) as [AdminErrorCode, ...AdminErrorCode[]];
  return fields.finish({
    type: fields.text("type", sentence, "a URI"),
    title: fields.text("title", sentence, "text"),
    status: fields.integer("status", 400, 599),
    code: fields.word("code", codes),
    detail: fields.text("detail", sentence, "text"),
  });
}
