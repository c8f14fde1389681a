import { describe, expect, it } from "vitest";
import {
  FLAG_ROOT, FLAG_STATUS_ERROR, FLAG_STATUS_OK, FLAG_STATUS_UNSET,
} from "../../../../engine/part/part-layout.ts";
import { AttributeMatcher } from "../../../../engine/part/attribute-matcher.ts";
import { FORMAT_ZIPKIN_JSON } from "../../../../engine/ring/payload-layout.ts";
import { SCAN_OK } from "../../../../engine/wire/scan-codes.ts";
import { scanPayload } from "../../../../engine/wire/scan-payload.ts";
import { scanZipkinJson } from "../../../../engine/wire/zipkin-json/scan.ts";
import { plainParts } from "../../../support/scan-check.ts";
import { SPAN, TRACE, codeFor, index, matcher, partOf, scan, scanText } from "./scan-harness.ts";

describe("scanZipkinJson", () => {
  it("finds nothing in an empty array and in null, and says its format", () => {
    for (const text of ["[]", " [ \n] ", "null", "\tnull\r\n"]) {
      expect(scanText(text)).toBe(SCAN_OK);
      expect([index.spanCount, index.partCount, index.groupCount]).toEqual([0, 0, 0]);
      expect(index.format).toBe(FORMAT_ZIPKIN_JSON);
    }
  });

  it("reads spans as reporters write them, in one group", () => {
    expect(scan(
      {
        traceId: TRACE, parentId: SPAN.parentId, id: SPAN.id, kind: "SERVER", name: "get /",
        timestamp: 1_790_000_000_000_001, duration: 1_500,
        localEndpoint: { serviceName: "baskets", ipv4: "10.0.0.1", port: 80 },
        remoteEndpoint: { serviceName: "GET", ipv6: "::1" },
        annotations: [{ timestamp: 1_790_000_000_000_002, value: "ws" }],
        tags: { peer: "checkout-7", "http.status": "500" }, debug: true, shared: false,
      },
      { traceId: "ff", id: "1", tags: { error: "" } },
      { ...SPAN, timestamp: 1_790_000_000_000_000, duration: 9_000_000 },
    )).toBe(SCAN_OK);
    expect(plainParts(index)).toMatchObject([
      { traceId: TRACE, startNs: 1_790_000_000_000_000_000n, endNs: 1_790_000_009_000_000_000n,
        bits: 0b110n, flags: FLAG_STATUS_UNSET, spans: 2 },
      { traceId: "ff".padStart(32, "0"), startNs: 0n, endNs: 0n, bits: 0n, spans: 1,
        flags: FLAG_ROOT | FLAG_STATUS_ERROR },
    ]);
    expect(index.groupCount).toBe(1);
    expect([...index.groups.slice(0, 8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it("is what payloads of its format are scanned with", () => {
    const payload = new Uint8Array(Buffer.from(JSON.stringify([SPAN])));
    expect(scanPayload(FORMAT_ZIPKIN_JSON, payload, 0, payload.length, matcher, index))
      .toBe(SCAN_OK);
    expect(index.spanCount).toBe(1);
  });

  it("reads the next payload as if there had been none before", () => {
    const bytes = new Uint8Array(400);
    const put = (spans: unknown[]): number => {
      bytes.fill(0x20);
      return new TextEncoder().encodeInto(JSON.stringify(spans), bytes).written;
    };
    let end = put([{ ...SPAN, tags: { pear: "GET", retry: "x" } }]);
    expect(scanZipkinJson(bytes, 0, end, matcher, index)).toBe(SCAN_OK);
    expect(plainParts(index)[0]!.bits).toBe(0n);
    end = put([{ ...SPAN, tags: { peer: "GET", retry: "x" } }]);
    expect(scanZipkinJson(bytes, 0, end, matcher, index)).toBe(SCAN_OK);
    expect(plainParts(index)[0]!.bits).toBe(0b10n);
  });
});

describe("times", () => {
  it("are microseconds, cut to integers, and exact as nanoseconds", () => {
    const times = (timestamp: unknown, duration: unknown): bigint[] => {
      const part = partOf({ timestamp, duration });
      return [part.startNs, part.endNs];
    };
    expect(times(9_007_199_254_740_991, 1)).toEqual([9_007_199_254_740_991_000n,
      9_007_199_254_740_992_000n]);
    expect(times(1_790_000_000_000_000.75, 0.9))
      .toEqual([1_790_000_000_000_000_000n, 1_790_000_000_000_000_000n]);
    expect(times(-5, 7)).toEqual([0n, 0n]);
    expect(times(5, -7)).toEqual([5_000n, 5_000n]);
    expect(times(null, 7)).toEqual([0n, 0n]);
    expect(times(7, null)).toEqual([7_000n, 7_000n]);
    expect(times(1e300, 1)).toEqual([0n, 0n]);
    expect(times(7, 1e300)).toEqual([7_000n, 7_000n]);
  });

  it("keep within 64 bits of nanoseconds", () => {
    const endOf = (members: string): bigint => {
      expect(codeFor(members)).toBe(SCAN_OK);
      return plainParts(index)[0]!.endNs;
    };
    expect(endOf("\"timestamp\":18446744073709551")).toBe(18446744073709551000n);
    expect(endOf("\"timestamp\":18446744073709552")).toBe(0n);
    expect(endOf("\"timestamp\":18446744073709550,\"duration\":1")).toBe(18446744073709551000n);
    expect(endOf("\"timestamp\":18446744073709550,\"duration\":2")).toBe(18446744073709550000n);
    expect(endOf("\"timestamp\":1.79e15,\"duration\":15e-1")).toBe(1_790_000_000_000_001_000n);
  });
});

describe("ids", () => {
  it("have up to 32 and 16 digits of either case, filled up on the left", () => {
    const traceOf = (traceId: string): string => partOf({ traceId }).traceId;
    expect(traceOf("1")).toBe("1".padStart(32, "0"));
    expect(traceOf("ABCDEF0123456789")).toBe("abcdef0123456789".padStart(32, "0"));
    expect(traceOf("0AbCdEf0123456789aBcDeF012345678")).toBe("0abcdef0123456789abcdef012345678");
  });

  it("refuse only their span when they are none", () => {
    const refused = [
      { traceId: undefined }, { traceId: null }, { traceId: "" }, { traceId: "0".repeat(32) },
      { traceId: "f".repeat(33) }, { traceId: "g".repeat(32) }, { traceId: ` ${TRACE.slice(1)}` },
      { id: undefined }, { id: "" }, { id: "0" }, { id: "1".repeat(17) }, { id: "x" },
      { parentId: "1".repeat(17) }, { parentId: "y" }, { parentId: "0".repeat(17) },
      { traceId: `${TRACE.slice(1)}\u0010` }, { id: `${SPAN.id.slice(1)}\u0010` },
    ];
    for (const fields of refused) {
      expect(scan(SPAN, { ...SPAN, ...fields }, SPAN)).toBe(SCAN_OK);
      expect([index.refusedSpans, index.spanCount]).toEqual([1, 2]);
    }
    expect(scan({})).toBe(SCAN_OK);
    expect([index.refusedSpans, index.groupCount]).toEqual([1, 0]);
  });

  it("are no ids when their digits are written as escapes", () => {
    expect(codeFor(`"id":"\\u0031"`)).toBe(SCAN_OK);
    expect(index.refusedSpans).toBe(1);
  });

  it("make a root of a span without parent, with an empty one or one of zeros", () => {
    const isRoot = (parentId: unknown): boolean => (partOf({ parentId }).flags & FLAG_ROOT) !== 0;
    for (const parent of [undefined, null, "", "0", "0".repeat(16)]) {
      expect(isRoot(parent)).toBe(true);
    }
    for (const parent of ["1", "0".repeat(15) + "1", "8000000000000000"]) {
      expect(isRoot(parent)).toBe(false);
    }
  });
});

describe("tags", () => {
  const bitsOf = (tags: unknown, more = {}): bigint => partOf({ tags, ...more }).bits;

  it("are tested as texts under their names, escapes resolved", () => {
    expect(bitsOf({ peer: "GET" })).toBe(0b10n);
    expect(bitsOf({ peer: "checkout-1" })).toBe(0b100n);
    expect(bitsOf({ "http.status": "500", retry: "true", a: "-5" })).toBe(0n);
    expect(bitsOf({ peer: "" })).toBe(0n);
    expect(bitsOf({ "": "GET" })).toBe(0b10000000n);
    expect(bitsOf({ ["K".repeat(300)]: "x".repeat(127) })).toBe(0b100000000n);
    expect(bitsOf(null)).toBe(0n);
    const escaped = String.raw`"tags":{"p\u0065er":"G\u0045T","retr\u0079":"\/"}`;
    expect(codeFor(escaped)).toBe(SCAN_OK);
    expect(plainParts(index)[0]!.bits).toBe(0b10n);
  });

  it("of a span do not reach the next one, in whatever order they come", () => {
    const tagged = (tags: unknown, traceId: string): unknown => ({ ...SPAN, traceId, tags });
    expect(scan(
      tagged({ x: "1", peer: "GET", y: "2" }, "1"), tagged({ x: "1", peer: "no", y: "2" }, "2"),
      tagged({ peer: "GET", x: "1" }, "3"), tagged({ y: "GET", peer: "GET" }, "4"),
      tagged({}, "5"), tagged({ x: "1", pear: "GET", y: "2" }, "6"),
    )).toBe(SCAN_OK);
    expect(plainParts(index).map(({ bits }) => bits)).toEqual([2n, 0n, 2n, 2n, 0n, 0n]);
  });

  it("are read beyond the places that are remembered", () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`tag.${at}`, "GET"]));
    const span = { ...SPAN, tags: { ...many, peer: "GET" } };
    expect(scan(span, { ...span, traceId: "1" })).toBe(SCAN_OK);
    expect(plainParts(index).map(({ bits }) => bits)).toEqual([2n, 2n]);
  });

  it("of one name given twice are both tested", () => {
    expect(codeFor("\"tags\":{\"peer\":\"GET\",\"peer\":\"checkout-7\"}")).toBe(SCAN_OK);
    expect(plainParts(index)[0]!.bits).toBe(0b110n);
  });

  it("match no regex when they are long and have escapes, which is counted", () => {
    const before = matcher.untestedValues;
    expect(scan({ ...SPAN, tags: { peer: `${"\n".repeat(70_000)}checkout` } })).toBe(SCAN_OK);
    expect(matcher.untestedValues).toBe(before + 1);
  });

  it("give the status: the code's tag first, then the error", () => {
    const flagsOf = (tags: unknown): number => partOf({ tags }).flags;
    expect(flagsOf({})).toBe(FLAG_STATUS_UNSET);
    expect(flagsOf({ error: "" })).toBe(FLAG_STATUS_ERROR);
    expect(flagsOf({ error: "true" })).toBe(FLAG_STATUS_ERROR);
    expect(flagsOf({ error: "timeout" })).toBe(FLAG_STATUS_ERROR);
    expect(flagsOf({ error: "false" })).toBe(FLAG_STATUS_UNSET);
    expect(flagsOf({ "otel.status_code": "OK", error: "true" })).toBe(FLAG_STATUS_OK);
    expect(flagsOf({ error: "false", "otel.status_code": "ERROR" })).toBe(FLAG_STATUS_ERROR);
    expect(flagsOf({ "otel.status_code": "Unset", error: "x" })).toBe(FLAG_STATUS_ERROR);
    expect(flagsOf({ "otel.status_code": "STATUS_CODE_ERROR" })).toBe(FLAG_STATUS_ERROR);
    expect(flagsOf({ "otel.status_code": "Ok", error: "x" })).toBe(FLAG_STATUS_OK);
    expect(flagsOf({ "otel.status_code": "" })).toBe(FLAG_STATUS_UNSET);
    expect(flagsOf({ errors: "true", Error: "true" })).toBe(FLAG_STATUS_UNSET);
    expect(codeFor(String.raw`"tags":{"\u0065rror":"f\u0061lse"}`)).toBe(SCAN_OK);
    expect(plainParts(index)[0]!.flags).toBe(FLAG_STATUS_UNSET);
    expect(codeFor(String.raw`"tags":{"error":"true","error":"false"}`)).toBe(SCAN_OK);
    expect(plainParts(index)[0]!.flags).toBe(FLAG_STATUS_UNSET);
  });
});

describe("the service of a span", () => {
  it("is tested as service.name, for its span alone", () => {
    const service = new AttributeMatcher([
      { kind: "string", key: "service.name", values: ["checkout", "pay/me"] },
      { kind: "regex", key: "service.name", patterns: ["^ul?$"], cacheSize: 8 },
    ]);
    const bitsOf = (endpoint: string): bigint[] => {
      const first = `${JSON.stringify(SPAN).slice(0, -1)},"localEndpoint":${endpoint}}`;
      const payload = new Uint8Array(Buffer.from(`[${first},${JSON.stringify({ ...SPAN,
        traceId: "2", remoteEndpoint: { serviceName: "checkout" } })}]`));
      expect(scanZipkinJson(payload, 0, payload.length, service, index)).toBe(SCAN_OK);
      return plainParts(index).map(({ bits }) => bits);
    };
    expect(bitsOf("{\"serviceName\":\"checkout\"}")).toEqual([1n, 0n]);
    expect(bitsOf("{\"port\":1,\"serviceName\":\"pay\\/me\",\"x\":[]}")).toEqual([1n, 0n]);
    expect(bitsOf("{\"serviceName\":\"no\",\"serviceName\":\"checkout\"}")).toEqual([1n, 0n]);
    expect(bitsOf("{\"serviceName\":\"checkout\",\"serviceName\":null}")).toEqual([0n, 0n]);
    for (const none of ["null", "{}", "{\"serviceName\":\"\"}", "{\"name\":\"checkout\"}"]) {
      expect(bitsOf(none)).toEqual([0n, 0n]);
    }
  });
});
