import type { ListSchema, ObjectSchema, Schema, TextSchema } from "./schema.ts";

/** A value with every default filled in, and what was wrong, one sentence each. */
export interface Completed {
  readonly value: unknown;
  readonly faults: readonly string[];
}

/** Fills in defaults as the API server does, and checks; unknown fields are refused. */
export function completeBySchema(schema: Schema, value: unknown, path: string): Completed {
  const faults: string[] = [];
  return { value: complete(schema, value, path, faults), faults };
}

function complete(schema: Schema, given: unknown, path: string, faults: string[]): unknown {
  const value = given === undefined ? schema.default : given;
  if (value === undefined) {
    if (schema.optional !== true) faults.push(`${path} is missing.`);
    return undefined;
  }
  switch (schema.kind) {
    case "text":
      checkText(schema, value, path, faults);
      return value;
    case "integer":
      if (
        typeof value !== "number" ||
        !Number.isSafeInteger(value) ||
        value < schema.min ||
        value > schema.max
      ) {
        faults.push(`${path} must be a whole number from ${schema.min} to ${schema.max}.`);
      } else if (schema.values?.includes(value) === false) {
        faults.push(`${path} must be ${schema.values.join(" or ")}.`);
      }
      return value;
    case "flag":
      if (typeof value !== "boolean") faults.push(`${path} must be true or false.`);
      return value;
    case "map":
      if (!isRecord(value) || Object.values(value).some((item) => typeof item !== "string")) {
        faults.push(`${path} must map text to text.`);
      } else if (Object.keys(value).length > schema.countMax) {
        faults.push(`${path} must have at most ${schema.countMax} entries.`);
      }
      return value;
    case "list":
      return completeList(schema, value, path, faults);
    case "object":
      return completeObject(schema, value, path, faults);
    default:
      return schema satisfies never;
  }
}

function checkText(schema: TextSchema, value: unknown, path: string, faults: string[]): void {
  if (typeof value !== "string") {
    faults.push(`${path} must be text.`);
  } else if (schema.values?.includes(value) === false) {
    faults.push(`${path} must be one of ${schema.values.join(", ")}.`);
  } else if ([...value].length > schema.lengthMax) {
    faults.push(`${path} must have at most ${schema.lengthMax} characters.`);
  } else if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(value)) {
    faults.push(`${path} must be ${schema.expects ?? `of the form ${schema.pattern}`}.`);
  }
}

function completeList(schema: ListSchema, value: unknown, path: string, faults: string[]): unknown {
  if (!Array.isArray(value)) {
    faults.push(`${path} must be a list.`);
    return value;
  }
  if (value.length > schema.countMax) {
    faults.push(`${path} must have at most ${schema.countMax} items.`);
  }
  if (schema.set === true && new Set(value).size !== value.length) {
    faults.push(`${path} must not name the same item twice.`);
  }
  return value.map((item, index) => complete(schema.items, item, `${path}[${index}]`, faults));
}

function completeObject(
  schema: ObjectSchema,
  value: unknown,
  path: string,
  faults: string[],
): unknown {
  if (!isRecord(value)) {
    faults.push(`${path} must be an object.`);
    return value;
  }
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(schema.fields, name)) faults.push(`${path}.${name} is not a known field.`);
  }
  const completed: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(schema.fields)) {
    const item = complete(field, value[name], `${path}.${name}`, faults);
    if (item !== undefined) completed[name] = item;
  }
  return completed;
}

/** True for an object that is neither null nor a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
