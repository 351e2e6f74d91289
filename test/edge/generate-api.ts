// Writes what edge/api publishes: vectors for other languages, OpenAPI and AsyncAPI documents.
// A unit test of edge/api compares; run this after a change of the schemas.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { asyncApiDocument } from "#edge/api/asyncapi.ts";
import { openApiDocument } from "#edge/api/openapi.ts";
import { vectorFiles } from "#edge/api/vectors.ts";
import { receiptVectors } from "#test/support/receipt-vectors.ts";

const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "edge", "api");
const exampleUrl = "http://127.0.0.1:8080";

function write(path: string, content: unknown): void {
  const target = join(folder, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, `${JSON.stringify(content, null, 2)}\n`);
  console.log(`edge/api/${path}`);
}

for (const [name, content] of Object.entries(vectorFiles())) write(`vectors/${name}`, content);
write("vectors/receipts.json", receiptVectors());
write("published/openapi.json", openApiDocument(exampleUrl));
write("published/asyncapi.json", asyncApiDocument(exampleUrl));
