// Requests as clients should not make them, and a few odd ones that are right: what is sent, and
// what must be answered.

import zlib from "node:zlib";
import type { MadeBody, ProvingGround } from "./proving-ground.ts";
import { headOf, type RequestInput } from "./raw-client.ts";

const KIB = 1024;
/** Of the gateway that the requests are sent to. */
export const MAX_BODY_BYTES = 256 * KIB;
/** What the inflate ratio, 100, never forbids. */
const INFLATED_FREE_BYTES = 64 * KIB;
/** Packed they are smaller than a body may be. */
const ZEROS = Buffer.alloc(100 * KIB * KIB);
const GRPC = { invalid: 3, exhausted: 8, unimplemented: 12 };

/** A request, and what must become of it. */
export interface RequestCase {
  readonly status: number;
  readonly code?: number;
  readonly says?: RegExp;
  readonly send: (body: Buffer) => RequestInput;
  readonly body?: (ground: ProvingGround) => MadeBody;
}

const gzip = { "content-encoding": "gzip" };
const tooLarge = { status: 413, code: GRPC.exhausted };
const badEncoding = { status: 400, code: GRPC.invalid, says: /not in the encoding/ };

/** By what is said of the request. */
export const REQUESTS: Readonly<Record<string, RequestCase>> = {
  "as large as may be": {
    status: 200, send: (body) => ({ body }),
    body: (ground) => ground.bodyOf(MAX_BODY_BYTES, "zeros"),
  },
  "as large as may be, in chunks": {
    status: 200, send: (body) => ({ chunks: inChunks(body, 10_000) }),
    body: (ground) => ground.bodyOf(MAX_BODY_BYTES, "zeros"),
  },
  "larger by one byte": {
    ...tooLarge, says: /larger than 262144 bytes/, send: (body) => ({ body }),
    body: (ground) => ground.bodyOf(MAX_BODY_BYTES + 1, "zeros"),
  },
  "larger by one byte, in chunks": {
    ...tooLarge, says: /larger than 262144 bytes/,
    send: (body) => ({ chunks: inChunks(body, 10_000) }),
    body: (ground) => ground.bodyOf(MAX_BODY_BYTES + 1, "zeros"),
  },
  "that inflates to as much as may be": {
    status: 200, send: (body) => ({ body: zlib.gzipSync(body), headers: gzip }),
    body: (ground) => ground.bodyOf(MAX_BODY_BYTES, "noise"),
  },
  "that inflates to one byte more": {
    ...tooLarge, says: /inflates to more than 262144 bytes/,
    send: (body) => ({ body: zlib.gzipSync(body), headers: gzip }),
    body: (ground) => ground.bodyOf(MAX_BODY_BYTES + 1, "noise"),
  },
  "of zeros that inflates to no more than any ratio allows": {
    status: 200, send: (body) => ({ body: zlib.gzipSync(body), headers: gzip }),
    body: (ground) => ground.bodyOf(INFLATED_FREE_BYTES, "zeros"),
  },
  "that inflates to too many times its size": {
    ...tooLarge, says: /or by too much/,
    send: (body) => ({ body: zlib.gzipSync(body), headers: gzip }),
    body: (ground) => ground.bodyOf(INFLATED_FREE_BYTES + 1, "zeros"),
  },
  "that inflates to a thousand times its size": {
    ...tooLarge, send: () => ({ body: zlib.gzipSync(ZEROS), headers: gzip }),
  },
  "of many members that inflate to a thousand times their size": {
    ...tooLarge, send: () => ({ headers: gzip, body: Buffer.concat(
      Array.from({ length: 10 }, () => zlib.gzipSync(ZEROS.subarray(0, 4 * KIB * KIB)))) }),
  },
  "that was deflated a thousand times": {
    ...tooLarge, send: () => ({
      body: zlib.deflateSync(ZEROS), headers: { "content-encoding": "deflate" },
    }),
  },
  "of two gzip members": {
    status: 200, send: (body) => ({ headers: gzip, body: Buffer.concat([
      zlib.gzipSync(body.subarray(0, 10)), zlib.gzipSync(body.subarray(10)),
    ]) }),
  },
  "said to be gzip that is none": { ...badEncoding, send: (body) => ({ body, headers: gzip }) },
  "of gzip cut short": {
    ...badEncoding, send: (body) => ({ body: zlib.gzipSync(body).subarray(0, -9), headers: gzip }),
  },
  "of gzip with another checksum": {
    ...badEncoding, send: (body) => ({ body: changed(zlib.gzipSync(body), -5), headers: gzip }),
  },
  "of gzip with another size": {
    ...badEncoding, send: (body) => ({ body: changed(zlib.gzipSync(body), -1), headers: gzip }),
  },
  "of gzip that is deflate": {
    ...badEncoding, send: (body) => ({ body: zlib.deflateSync(body), headers: gzip }),
  },
  "of nothing, said to be gzip": {
    ...badEncoding, send: () => ({ body: Buffer.alloc(0), headers: gzip }),
  },
  "of deflate": {
    status: 200,
    send: (body) => ({ body: zlib.deflateSync(body), headers: { "content-encoding": "deflate" } }),
  },
  "of deflate that is gzip": {
    ...badEncoding,
    send: (body) => ({ body: zlib.gzipSync(body), headers: { "content-encoding": "deflate" } }),
  },
  "of gzip by another name": {
    status: 200,
    send: (body) => ({ body: zlib.gzipSync(body), headers: { "content-encoding": "X-GZip" } }),
  },
  "as it is, said so": {
    status: 200, send: (body) => ({ body, headers: { "content-encoding": "identity" } }),
  },
  ...forEach(["br", "zstd", "compress", "gzip, gzip", "gzip, br", "*", "chunked"], (encoding) => ({
    name: `in the encoding "${encoding}"`,
    status: 415, code: GRPC.invalid, says: /supported are gzip, deflate/,
    send: (body: Buffer) => ({ body, headers: { "content-encoding": encoding } }),
  })),
  ...forEach(["", "text/plain", "application/x-thrift", "application/octet-stream", "x", ";",
    "application/x-protobuf2"], (type) => ({
    name: `of the type "${type}"`,
    status: 415, code: GRPC.invalid, says: /content type/,
    send: (body: Buffer) => ({ body, headers: { "content-type": type } }),
  })),
  "of its type with parameters, in capitals": {
    status: 200, send: (body) => ({
      body, headers: { "content-type": "Application/X-Protobuf ; charset=utf-8" },
    }),
  },
  ...forEach(["/", "/v1/trace", "/v1/traces/", "/v1/traces/x", "//v1/traces", "/V1/TRACES",
    "/v1/%74races", "/v1/../v1/traces", `/${"v".repeat(10_000)}`], (path) => ({
    name: `for the path ${path.slice(0, 20)}`,
    status: 404, code: GRPC.unimplemented, says: /no such path/,
    send: (body: Buffer) => ({ path, body }),
  })),
  ...forEach(["GET", "PUT", "DELETE", "PATCH", "OPTIONS"], (method) => ({
    name: `with the method ${method}`,
    status: 405, code: GRPC.unimplemented, says: /method/,
    send: (body: Buffer) => ({ method, body }),
  })),
};

function forEach(
  values: readonly string[], make: (value: string) => RequestCase & { readonly name: string },
): Record<string, RequestCase> {
  return Object.fromEntries(values.map((value) => [make(value).name, make(value)]));
}

function* inChunks(body: Buffer, bytes: number): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += bytes) yield body.subarray(at, at + bytes);
}

function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length + at] = copy.at(at)! ^ 0x55;
  return copy;
}

/** Heads after which two readers could disagree where the next request begins; none is taken. */
export const AMBIGUOUS: readonly (readonly string[])[] = [
  ["Content-Length: -5"], ["Content-Length: 0x40"], ["Content-Length: +64"],
  ["Content-Length: 6 4"], ["Content-Length: 64, 64"], ["Content-Length: "],
  ["Content-Length: 99999999999999999999999999"],
  ["Content-Length: 18446744073709551680"], ["Content-Length: 4294967360"],
  ["Content-Length: 64", "Content-Length: 65"],
  ["Content-Length: 64", "Transfer-Encoding: chunked"],
  ["Transfer-Encoding: chunked", "Content-Length: 64"], ["Transfer-Encoding: gzip"],
  ["Transfer-Encoding: gzip, chunked"], ["Transfer-Encoding: chunked, chunked"],
  ["Transfer-Encoding: identity"], ["Transfer-Encoding: xchunked"], ["Transfer-Encoding : chunked"],
  ["Content-Length : 64"], ["X: a\0b", "Content-Length: 64"], ["X: a\r\n Content-Length: 64"],
];
/** What is not HTTP/1.1 at all, or hardly. */
export const GIBBERISH: readonly (string | Buffer)[] = [
  "\r\n\r\n\r\n", "\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "POST /v1/traces HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
  "POST /v1/traces HTTP/9.9\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
  "POST /v1/traces HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
  headOf([`X: ${"y".repeat(100_000)}`, "Content-Length: 0"]),
  headOf([...Array.from({ length: 2000 }, (_, index) => `X-${index}: y`), "Content-Length: 0"]),
  headOf(["Content-Length: 0"], "POST", `/v1/traces?${"a".repeat(100_000)}`),
  Buffer.from("16030102000100". padEnd(1200, "a7"), "hex"), Buffer.alloc(100_000, 0xff),
];
/** Sizes of a chunk that are none. */
export const CHUNK_SIZES = [
  "zz", "-1", "ffffffffffffffff", "10000000000000040", "7fffffff", "0x40",
];
/** The HTTP engine reads these as 0: the body ends, empty, and what follows is no request. */
export const CHUNK_SIZES_READ_AS_0 = ["", " "];
