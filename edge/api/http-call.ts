import type { ErrorName } from "./errors.ts";
import type { HttpSchemaName } from "./http-schemas.ts";

/** How a call proves who calls. */
export type HttpAuth = "apiKey" | "session" | "cookie";

/** One parameter of a call. */
export interface HttpParameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly schema: object;
}

/** One HTTP call of the edge. */
export interface HttpCall {
  readonly id: string;
  readonly method: "get" | "post" | "put" | "delete";
  /** OpenAPI path. */
  readonly path: string;
  readonly summary: string;
  readonly description: string;
  /** Any one of these; empty = public. */
  readonly auth: readonly HttpAuth[];
  readonly parameters: readonly HttpParameter[];
  readonly body: HttpSchemaName | null;
  readonly answers: Readonly<
    Record<
      string,
      {
        readonly description: string;
        readonly schema: HttpSchemaName | null;
        readonly mediaType: string;
      }
    >
  >;
  readonly errors: readonly ErrorName[];
}
