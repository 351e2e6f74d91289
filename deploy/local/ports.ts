import { createServer, type Server } from "node:net";
import { codeOf, Refusal } from "./refusal.ts";

/** The only address that a local fleet binds to. */
export const loopback = "127.0.0.1";

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host: loopback, port, exclusive: true }, () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** `count` different free ports. All are held until the last is found, so that none repeats. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers: Server[] = [];
  for (let index = 0; index < count; index += 1) servers.push(await listen(0));
  const ports = servers.map(portOf);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

/** Throws a Refusal when the port that a person asked for cannot be bound. */
export async function requireFree(port: number): Promise<void> {
  try {
    const server = await listen(port);
    await new Promise((done) => server.close(done));
  } catch (error) {
    const why = codeOf(error) === "EADDRINUSE" ? "is in use" : `cannot be bound (${codeOf(error)})`;
    throw new Refusal(`Port ${port} ${why}; name another with --port, or 0 for any free one.`);
  }
}
