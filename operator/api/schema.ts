/** A value of JSON. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

interface Common {
  /** A sentence or two for `kubectl explain`. */
  readonly description: string;
  /** What an absent field becomes; a field without default and without `optional` is required. */
  readonly default?: JsonValue;
  readonly optional?: true;
}

/** Text, bounded, so that the API server can bound the cost of rules over it. */
export interface TextSchema extends Common {
  readonly kind: "text";
  readonly lengthMax: number;
  readonly pattern?: string;
  /** Completes "must be …" for people; needed with a pattern. */
  readonly expects?: string;
  readonly values?: readonly string[];
  readonly format?: "date-time";
}

/** A whole number within bounds. */
export interface IntegerSchema extends Common {
  readonly kind: "integer";
  readonly min: number;
  readonly max: number;
  readonly values?: readonly number[];
}

/** True or false. */
export interface FlagSchema extends Common {
  readonly kind: "flag";
}

/** An object with known fields; every other field is refused (pruned by the API server). */
export interface ObjectSchema extends Common {
  readonly kind: "object";
  readonly fields: { readonly [name: string]: Schema };
}

/** Text by text, such as labels. */
export interface MapSchema extends Common {
  readonly kind: "map";
  readonly countMax: number;
  readonly lengthMax: number;
}

/** A bounded list. `keys`: the fields that name an item; absent and `set`: items are unique. */
export interface ListSchema extends Common {
  readonly kind: "list";
  readonly countMax: number;
  readonly items: Schema;
  readonly set?: true;
  readonly keys?: readonly string[];
}

/** The schema of one field: source of the CRD, of its documentation, defaults and local checks. */
export type Schema =
  | TextSchema
  | IntegerSchema
  | FlagSchema
  | ObjectSchema
  | MapSchema
  | ListSchema;

/** One schema for each field of T, none forgotten and none besides. */
export type FieldsOf<T> = { readonly [K in keyof T]-?: Schema };

/** The structural OpenAPI schema (apiextensions.k8s.io/v1) of a schema. */
export function openApiOf(schema: Schema): { readonly [name: string]: JsonValue } {
  return {
    description: schema.description,
    ...(schema.default === undefined ? {} : { default: schema.default }),
    ...openApiBody(schema),
  };
}

function openApiBody(schema: Schema): { readonly [name: string]: JsonValue } {
  switch (schema.kind) {
    case "text":
      return {
        type: "string",
        maxLength: schema.lengthMax,
        ...(schema.pattern === undefined ? {} : { pattern: schema.pattern }),
        ...(schema.values === undefined ? {} : { enum: schema.values }),
        ...(schema.format === undefined ? {} : { format: schema.format }),
      };
    case "integer":
      return {
        type: "integer",
        format: "int64",
        minimum: schema.min,
        maximum: schema.max,
        ...(schema.values === undefined ? {} : { enum: schema.values }),
      };
    case "flag":
      return { type: "boolean" };
    case "map":
      return {
        type: "object",
        maxProperties: schema.countMax,
        additionalProperties: { type: "string", maxLength: schema.lengthMax },
      };
    case "list":
      return {
        type: "array",
        maxItems: schema.countMax,
        ...listType(schema),
        items: openApiOf(schema.items),
      };
    case "object":
      return objectBody(schema);
    default:
      return schema satisfies never;
  }
}

function listType(schema: ListSchema): { readonly [name: string]: JsonValue } {
  if (schema.keys !== undefined) {
    return { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": schema.keys };
  }
  return { "x-kubernetes-list-type": schema.set === true ? "set" : "atomic" };
}

function objectBody(schema: ObjectSchema): { readonly [name: string]: JsonValue } {
  const entries = Object.entries(schema.fields);
  const required = entries
    .filter(([, field]) => field.default === undefined && field.optional !== true)
    .map(([name]) => name);
  return {
    type: "object",
    ...(required.length === 0 ? {} : { required }),
    properties: Object.fromEntries(entries.map(([name, field]) => [name, openApiOf(field)])),
  };
}
