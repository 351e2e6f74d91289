import type { GenesisRecord } from "#operator/policy/observed.ts";

const steps: readonly string[] = ["identify", "format", "done"];

/** Reads the record from a claim's annotation; null when there is none. Throws on a damaged one. */
export function genesisRecordFrom(text: string | undefined): GenesisRecord | null {
  if (text === undefined) return null;
  const value = JSON.parse(text) as Partial<GenesisRecord>;
  const whole =
    steps.includes(value.step ?? "") &&
    /^[0-9a-f]{64}$/.test(value.formationId ?? "") &&
    /^[0-9a-f]{32}$/.test(value.cluster ?? "") &&
    typeof value.slots === "object" &&
    Array.isArray(value.members);
  if (!whole) throw new Error("The genesis annotation of a claim is damaged; restore it.");
  return value as GenesisRecord;
}

/** The record as the text of an annotation. */
export function genesisRecordText(record: GenesisRecord): string {
  return JSON.stringify(record);
}
