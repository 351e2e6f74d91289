import assert from "node:assert/strict";
import { connect, createServer } from "node:tls";
import { once } from "node:events";
import { test } from "node:test";
import { parse } from "yaml";
import { createAuthority } from "./authority.ts";
import { renderKubeconfig } from "./kubeconfig.ts";

test("authority: two of its certificates trust each other over TLS 1.3, by address", async () => {
  const authority = await createAuthority("test");
  const serving = await authority.issue({ commonName: "server", addresses: ["127.0.0.1"] });
  const client = await authority.issue({ commonName: "jo", organizations: ["g1", "g2"] });
  const server = createServer({
    ca: authority.certificate,
    cert: serving.certificate,
    key: serving.key,
    requestCert: true,
    rejectUnauthorized: true,
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const accepted = once(server, "secureConnection");
  const socket = connect({
    host: "127.0.0.1",
    port: address.port,
    ca: authority.certificate,
    cert: client.certificate,
    key: client.key,
    minVersion: "TLSv1.3",
  });
  await once(socket, "secureConnect");
  const [peer] = await accepted;
  const { subject } = peer.getPeerCertificate();
  assert.equal(subject.CN, "jo");
  assert.deepEqual(subject.O, ["g1", "g2"]);
  socket.destroy();
  server.close();
});

test("kubeconfig: one context with everything inline", () => {
  const credentials = { certificate: "CERT", key: "KEY" };
  const text = renderKubeconfig({ server: "https://s", authority: "CA", user: "u", credentials });
  const config = parse(text);
  assert.equal(config["current-context"], config.contexts[0].name);
  assert.equal(atob(config.users[0].user["client-key-data"]), "KEY");
  assert.equal(atob(config.clusters[0].cluster["certificate-authority-data"]), "CA");
});
