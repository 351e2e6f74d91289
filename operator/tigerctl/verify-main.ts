// Offline verifier: `npm run verify -- receipt|export|consistency FILE --key K`.
import { verify } from "./verify.ts";

const { code, lines } = await verify(process.argv.slice(2));
for (const line of lines) (code === 0 ? console.log : console.error)(line);
process.exitCode = code;
