// Loaded before a test file by canaries.ts: switches on the deliberate bug that MUTATE names.
import { setMutations } from "#replica/base/mutation.ts";

const id = process.env["MUTATE"] ?? "";
setMutations(id === "" ? [] : [id]);
