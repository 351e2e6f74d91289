// Own DER against two readers of other people: OpenSSL (through node:crypto) and @peculiar/x509.
import "reflect-metadata";
import { ok, strictEqual } from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from "@peculiar/x509";
import {
  bootstrapProof,
  certificateFacts,
  certificateRequestPem,
  makeVolumeKey,
  selfSignedPem,
  volumeKeyFromPem,
} from "./volume-key.ts";

const uri = "tigerchat://00112233445566778899aabbccddeeff/lobby/2";

test("crypto: a volume's key survives its file, incarnation included", () => {
  const key = makeVolumeKey();
  const again = volumeKeyFromPem(key.privatePem);
  strictEqual(again?.publicKey, key.publicKey);
  strictEqual(again?.incarnation, key.incarnation);
  strictEqual(volumeKeyFromPem("-----BEGIN"), null);
});

test("crypto: the certificate request verifies and names the URI", async () => {
  const key = makeVolumeKey();
  const request = new Pkcs10CertificateRequest(certificateRequestPem(key, uri));
  ok(await request.verify());
  const names = request.getExtension("2.5.29.17");
  ok(names instanceof SubjectAlternativeNameExtension);
  strictEqual(names.names.items[0]?.value, uri);
  const spki = Buffer.from(request.publicKey.rawData).toString("hex");
  ok(spki.endsWith(key.publicKey));
});

test("crypto: the self-signed certificate verifies under its own key and is current", () => {
  const key = makeVolumeKey();
  const nowMs = Date.UTC(2026, 10, 21);
  const pem = selfSignedPem(key, uri, nowMs);
  const certificate = new X509Certificate(pem);
  ok(certificate.verify(certificate.publicKey));
  const facts = certificateFacts(pem);
  strictEqual(facts?.publicKey, key.publicKey);
  strictEqual(facts?.uris.join(), uri);
  ok((facts?.notAfterMs ?? 0) > nowMs);
});

test("crypto: HMAC-SHA256 gives the vector of RFC 4231 section 4.3", () => {
  strictEqual(
    bootstrapProof(Buffer.from("Jefe"), "what do ya want for nothing?"),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  );
});
