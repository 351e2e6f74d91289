import { assert } from "#replica/base/assert.ts";
import { checksumOf, clientIdFrom, opFrom } from "#replica/base/brands.ts";
import type { Checksum, ClientId, Op } from "#replica/base/brands.ts";
import { bytesFromHex, hexFrom, readU64, writeU64 } from "#replica/base/bytes.ts";
import { requestBodyBytesMax, requestOperationsMax } from "#replica/base/limits.ts";
import { fail, ok } from "#replica/base/result.ts";
import type { Result } from "#replica/base/result.ts";
import type { Request, RequestHeader } from "./prepare.ts";

// A prepare's body: one request after another, each [header, 96 bytes][u32 bodyBytes][body].
// Header: session u64, request_number u64, request_checksum 32, client_id 16, operations u32,
// zeros to 96.

/** Bytes of an encoded {@link RequestHeader}. */
export const requestHeaderBytes = 96;
/** Bytes that stand before a request's body: the header and the body's length. */
export const requestPrefixBytes = requestHeaderBytes + 4;

const sessionAt = 0;
const requestNumberAt = 8;
const requestChecksumAt = 16;
const clientIdAt = 48;
const operationsCountAt = 64;
const reservedAt = 68;

/** Bytes that one request with a body of that size takes in a prepare's body. */
export function requestEncodedBytes(bodyBytes: number): number {
  return requestPrefixBytes + bodyBytes;
}

/** Writes a request's header and the length of its body at `offset`; 100 bytes. */
export function writeRequestHeader(
  target: Uint8Array,
  offset: number,
  header: RequestHeader,
  bodyBytes: number,
): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  writeU64(view, offset + sessionAt, header.session);
  writeU64(view, offset + requestNumberAt, header.requestNumber);
  target.set(bytesFromHex(header.requestChecksum), offset + requestChecksumAt);
  target.set(bytesFromHex(header.clientId), offset + clientIdAt);
  view.setUint32(offset + operationsCountAt, header.operationsCount, true);
  target.fill(0, offset + reservedAt, offset + requestHeaderBytes);
  view.setUint32(offset + requestHeaderBytes, bodyBytes, true);
}

/** The body of a prepare of kind `requests`; its caller keeps it under prepareBodyBytesMax. */
export function encodeRequests(requests: readonly Request[]): Uint8Array {
  let bytes = 0;
  for (const request of requests) bytes += requestEncodedBytes(request.body.length);
  const body = new Uint8Array(bytes);
  let offset = 0;
  for (const request of requests) {
    writeRequestHeader(body, offset, request.header, request.body.length);
    body.set(request.body, offset + requestPrefixBytes);
    offset += requestEncodedBytes(request.body.length);
  }
  assert(offset === bytes, "WIR-01: requests fill the body exactly");
  return body;
}

/**
 * Walks the requests of a prepare's body where they lie, without an object or a copy a request:
 * `while (reader.next()) …`. After the last `next()`, `reason` is null or says what is malformed.
 */
export class RequestReader {
  /** Op of the session's registration; 0 = this request registers `clientId`. */
  session = 0 as Op;
  requestNumber = 0;
  operationsCount = 0;
  /** The current request's operations lie in [bodyStart, bodyEnd) of the prepare's body. */
  bodyStart = 0;
  bodyEnd = 0;
  /** Null, or why the walk stopped before the end of the body. */
  reason: "short" | "number" | "too_large" | "reserved" | null = null;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private headerStart = 0;

  /** `bytes`: a prepare's body; hostile bytes are fine. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Moves to the next request; false at the end or at the first malformed one. */
  next(): boolean {
    if (this.reason !== null || this.bodyEnd === this.bytes.length) return false;
    const start = this.bodyEnd;
    if (this.bytes.length - start < requestPrefixBytes) return this.stop("short");
    const session = readU64(this.view, start + sessionAt);
    const requestNumber = readU64(this.view, start + requestNumberAt);
    if (Number.isNaN(session) || Number.isNaN(requestNumber)) return this.stop("number");
    const operationsCount = this.view.getUint32(start + operationsCountAt, true);
    const bodyBytes = this.view.getUint32(start + requestHeaderBytes, true);
    if (operationsCount > requestOperationsMax) return this.stop("too_large");
    if (bodyBytes > requestBodyBytesMax) return this.stop("too_large");
    if (this.bytes.length - start - requestPrefixBytes < bodyBytes) return this.stop("short");
    for (let at = start + reservedAt; at < start + requestHeaderBytes; at += 4) {
      if (this.view.getUint32(at, true) !== 0) return this.stop("reserved");
    }
    this.headerStart = start;
    this.session = opFrom(session);
    this.requestNumber = requestNumber;
    this.operationsCount = operationsCount;
    this.bodyStart = start + requestPrefixBytes;
    this.bodyEnd = this.bodyStart + bodyBytes;
    return true;
  }

  /** SHA-256 of the current request's body as its client named it. Builds a string. */
  get requestChecksum(): Checksum {
    const start = this.headerStart + requestChecksumAt;
    return checksumOf(this.bytes.subarray(start, start + 32));
  }

  /** Client of the current request. Builds a string. */
  get clientId(): ClientId {
    const start = this.headerStart + clientIdAt;
    return clientIdFrom(hexFrom(this.bytes.subarray(start, start + 16)));
  }

  /** The current request's body, a view into the prepare's body. */
  get body(): Uint8Array {
    return this.bytes.subarray(this.bodyStart, this.bodyEnd);
  }

  /** The current request's header as an object. */
  get header(): RequestHeader {
    return {
      session: this.session,
      requestNumber: this.requestNumber,
      requestChecksum: this.requestChecksum,
      clientId: this.clientId,
      operationsCount: this.operationsCount,
    };
  }

  private stop(reason: "short" | "number" | "too_large" | "reserved"): false {
    this.reason = reason;
    return false;
  }
}

/** All requests of a prepare's body as objects; bodies are views into it. */
export function decodeRequests(
  body: Uint8Array,
  requestsCount: number,
): Result<readonly Request[], "short" | "number" | "too_large" | "reserved" | "count"> {
  const reader = new RequestReader(body);
  const requests: Request[] = [];
  while (reader.next()) {
    if (requests.length === requestsCount) return fail("count");
    requests.push({ header: reader.header, body: reader.body });
  }
  if (reader.reason !== null) return fail(reader.reason);
  if (requests.length !== requestsCount) return fail("count");
  return ok(requests);
}
