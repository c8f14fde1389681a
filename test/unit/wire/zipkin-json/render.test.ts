import { describe, expect, it } from "vitest";
import { encodeSuffix } from "../../../../engine/wire/otlp-proto/suffix.ts";
import { ZipkinJsonRenderer } from "../../../../engine/wire/zipkin-json/render.ts";
import { indexZipkin } from "../../../support/json-index.ts";
import { decodeRequest, type DecodedSpan } from "../../../support/otlp-builder.ts";
import { readFields } from "../../../support/proto-wire.ts";
import { checkOutput, renderRecord, type RenderOptions } from "../../../support/render-check.ts";

const renderer = new ZipkinJsonRenderer();
const IDS = { traceId: "5b8efff798038103d269b633813fc60c", id: "eee19b7ec3c1b174" };
const ABSENT = { "otel.zipkin.absentField.startTime": true };

function rendered(spans: unknown, options: RenderOptions = {}): DecodedSpan[] {
  const text = typeof spans === "string" ? spans : JSON.stringify(spans);
  const body = new TextEncoder().encode(text);
  const { bytes } = renderRecord(renderer, body, indexZipkin(body), options);
  checkOutput(bytes);
  return decodeRequest(bytes);
}

/** The one span with these members beside its ids and a timestamp. */
function one(members: Record<string, unknown>): DecodedSpan {
  const spans = rendered([{ ...IDS, timestamp: 1, ...members }]);
  expect(spans.length).toBe(1);
  return spans[0]!;
}

function tagged(tags: Record<string, unknown>): DecodedSpan {
  return one({ tags });
}

describe("ZipkinJsonRenderer", () => {
  it("renders every field of a span", () => {
    const span = one({
      parentId: "7", name: "get /é", kind: "SERVER", timestamp: 1_544_712_660_123_456,
      duration: 1_000_001, debug: true, shared: true,
      localEndpoint: { serviceName: "shop", ipv4: "10.0.0.1", port: 8080 },
      remoteEndpoint: { serviceName: "web", ipv6: "2001:db8::1", port: 65_535 },
      annotations: [
        { timestamp: 1_544_712_660_123_457, value: "ws" }, { value: "no time" }, {},
      ],
      tags: { "http.path": "/a", "empty": "", "": "no key" },
    });
    expect(span).toEqual({
      traceId: IDS.traceId, spanId: IDS.id, parentSpanId: "0000000000000007", name: "get /é",
      kind: 2, startNs: 1_544_712_660_123_456_000n, endNs: 1_544_712_661_123_457_000n,
      attributes: {
        "http.path": "/a", "empty": "", "": "no key", "network.local.address": "10.0.0.1",
        "network.local.port": 8080n, "service.peer.name": "web",
        "network.peer.address": "2001:db8::1", "network.peer.port": 65_535n,
        "zipkin.debug": true, "zipkin.shared": true,
      },
      events: [
        { timeNs: 1_544_712_660_123_457_000n, name: "ws", attributes: {},
          droppedAttributesCount: 0 },
        { timeNs: 0n, name: "no time", attributes: {}, droppedAttributesCount: 0 },
        { timeNs: 0n, name: "", attributes: {}, droppedAttributesCount: 0 },
      ],
      traceState: "", flags: 0, links: [], droppedAttributesCount: 0, droppedEventsCount: 0,
      droppedLinksCount: 0, statusCode: 0, statusMessage: "",
      resource: { "service.name": "shop" }, resourceSchemaUrl: "",
      scope: { name: "", version: "", attributes: {} }, scopeSchemaUrl: "",
    });
  });

  it("pads ids, and knows no parent that is zero or the span itself", () => {
    expect(one({ traceId: "D269b633813fc60c", id: "A", parentId: "b" })).toMatchObject({
      traceId: "0000000000000000d269b633813fc60c", spanId: "000000000000000a",
      parentSpanId: "000000000000000b",
    });
    for (const parentId of ["0", "0000000000000000", IDS.id, IDS.id.toUpperCase(), null, "", 5]) {
      expect(one({ parentId }).parentSpanId).toBe("");
    }
    expect(one({ id: "00a", parentId: "A" }).parentSpanId).toBe("");
  });

  it("takes times exactly, cut off at the point", () => {
    const cases: [unknown, unknown, bigint, bigint][] = [
      [1, 2, 1000n, 3000n], [1.9, 2.9, 1000n, 3000n], [5, undefined, 5000n, 5000n],
      [5, null, 5000n, 5000n], ["5", "7", 5000n, 12_000n], [5, 0, 5000n, 5000n],
      [9_007_199_254_740_991, 1, 9_007_199_254_740_991_000n, 9_007_199_254_740_992_000n],
      [18_446_744_073_709_000, 551_615_000, 18_446_744_073_709_000_000n, 2n ** 64n - 1n],
    ];
    for (const [timestamp, duration, startNs, endNs] of cases) {
      expect(one({ timestamp, duration })).toMatchObject({ startNs, endNs, attributes: {} });
    }
    expect(rendered(`[{"traceId":"1","id":"2","timestamp":1.7e15,"duration":1E3}]`)[0])
      .toMatchObject({ startNs: 1_700_000_000_000_000_000n, endNs: 1_700_000_000_001_000_000n });
  });

  it("marks a span without a timestamp, and keeps times that are none as attributes", () => {
    expect(one({ timestamp: undefined, duration: 3 }))
      .toMatchObject({ startNs: 0n, endNs: 3000n, attributes: ABSENT });
    expect(one({ timestamp: null })).toMatchObject({ startNs: 0n, endNs: 0n, attributes: ABSENT });
    expect(one({ timestamp: 0 }).attributes).toEqual(ABSENT);
    expect(one({ timestamp: -5, duration: -6 })).toMatchObject({ startNs: 0n, endNs: 0n });
    expect(one({ timestamp: -5, duration: -6 }).attributes)
      .toEqual({ ...ABSENT, "zipkin.timestamp": "-5", "zipkin.duration": "-6" });
    expect(one({ timestamp: 2 ** 64, duration: "soon" }).attributes).toEqual({
      ...ABSENT, "zipkin.timestamp": "18446744073709552000", "zipkin.duration": "soon",
    });
    expect(one({ timestamp: 3, duration: -1 })).toMatchObject({
      startNs: 3000n, endNs: 3000n, attributes: { "zipkin.duration": "-1" },
    });
  });

  it("takes the kind, or else the tag for it", () => {
    const kinds = { SERVER: 2, CLIENT: 3, PRODUCER: 4, CONSUMER: 5 };
    for (const [kind, number] of Object.entries(kinds)) {
      expect(one({ kind })).toMatchObject({ kind: number, attributes: {} });
      expect(tagged({ "span.kind": kind.toLowerCase() })).toMatchObject({ kind: number });
    }
    expect(tagged({ "span.kind": "internal" })).toMatchObject({ kind: 1, attributes: {} });
    expect(one({ kind: "CLIENT", tags: { "span.kind": "server" } }))
      .toMatchObject({ kind: 3, attributes: { "span.kind": "server" } });
    expect(tagged({ "span.kind": "odd" }))
      .toMatchObject({ kind: 0, attributes: { "span.kind": "odd" } });
    expect(one({ kind: "OTHER" }))
      .toMatchObject({ kind: 0, attributes: { "zipkin.kind": "OTHER" } });
    expect(one({ kind: null })).toMatchObject({ kind: 0, attributes: {} });
  });

  it("takes the status from its tags", () => {
    const cases: [Record<string, string>, number, string, Record<string, string>][] = [
      [{}, 0, "", {}],
      [{ error: "true" }, 2, "", {}],
      [{ error: "" }, 2, "", {}],
      [{ error: "no \"route\"" }, 2, "no \"route\"", {}],
      [{ error: "false" }, 0, "", { error: "false" }],
      [{ "otel.status_code": "ERROR" }, 2, "", {}],
      [{ "otel.status_code": "OK" }, 1, "", {}],
      [{ "otel.status_code": "STATUS_CODE_OK" }, 1, "", {}],
      [{ "otel.status_code": "STATUS_CODE_ERROR", "otel.status_description": "d" }, 2, "d", {}],
      [{ "otel.status_code": "UNSET" }, 0, "", {}],
      [{ "otel.status_code": "ERROR", error: "e" }, 2, "e", {}],
      [{ "otel.status_code": "Error", error: "true", "otel.status_description": "d" }, 2, "d", {}],
      [{ "otel.status_code": "ERROR", error: "e", "otel.status_description": "d" }, 2, "d",
        { error: "e" }],
      [{ "otel.status_code": "OK", error: "e" }, 1, "", { error: "e" }],
      [{ "otel.status_code": "OK", error: "true" }, 1, "", { error: "true" }],
      [{ "otel.status_code": "OK", error: "" }, 1, "", { error: "" }],
      [{ "otel.status_code": "UNSET", error: "e" }, 2, "e", {}],
      [{ "otel.status_code": "odd", "otel.status_description": "d" }, 0, "",
        { "otel.status_code": "odd", "otel.status_description": "d" }],
      [{ "otel.status_description": "d", error: "e" }, 2, "e", { "otel.status_description": "d" }],
    ];
    for (const [tags, statusCode, statusMessage, attributes] of cases) {
      expect(tagged(tags), JSON.stringify(tags))
        .toMatchObject({ statusCode, statusMessage });
      expect(tagged(tags).attributes, JSON.stringify(tags)).toEqual(attributes);
    }
  });

  it("takes trace state and scope from their tags", () => {
    expect(tagged({ "w3c.tracestate": "a=b" }))
      .toMatchObject({ traceState: "a=b", attributes: {} });
    const scope = (tags: Record<string, string>): unknown => {
      const span = tagged(tags);
      return [span.scope.name, span.scope.version, span.attributes];
    };
    expect(scope({ "otel.scope.name": "n", "otel.scope.version": "v" })).toEqual(["n", "v", {}]);
    expect(scope({ "otel.library.name": "n", "otel.library.version": "v" }))
      .toEqual(["n", "v", {}]);
    expect(scope({ "otel.scope.name": "n", "otel.library.name": "n" })).toEqual(["n", "", {}]);
    expect(scope({ "otel.scope.name": "n", "otel.library.name": "m" }))
      .toEqual(["n", "", { "otel.library.name": "m" }]);
    expect(scope({ "otel.library.version": "v" })).toEqual(["", "v", {}]);
    expect(scope({ "otel.scope.name": "" })).toEqual(["", "", {}]);
  });

  it("keeps all that an endpoint says, whatever tags have taken its names", () => {
    const both = { ipv4: "1.2.3.4", ipv6: "::1", port: 0 };
    expect(one({ localEndpoint: both, remoteEndpoint: both }).attributes).toEqual({
      "network.local.address": "::1", "zipkin.local.ipv4": "1.2.3.4",
      "network.peer.address": "::1", "zipkin.remote.ipv4": "1.2.3.4",
    });
    const tags = {
      "network.peer.address": "1.2.3.4", "network.peer.port": "80", "service.peer.name": "web",
    };
    const remote = (members: Record<string, unknown>): unknown =>
      one({ tags, remoteEndpoint: members }).attributes;
    expect(remote({ serviceName: "web", ipv4: "1.2.3.4", port: 80 })).toEqual(tags);
    expect(remote({ serviceName: "api", ipv4: "5.6.7.8", port: 81 })).toEqual({
      ...tags, "zipkin.service.peer.name": "api", "zipkin.network.peer.address": "5.6.7.8",
      "zipkin.network.peer.port": 81n,
    });
    expect(remote({ serviceName: "", ipv4: null, port: -1 })).toEqual(tags);
    expect(one({ remoteEndpoint: [], localEndpoint: null }).attributes).toEqual({});
  });

  it("keeps tags that are no strings as their JSON", () => {
    expect(tagged({
      number: 1.5, yes: true, object: { a: ["é", "\""] }, nothing: null, error: true,
    }).attributes).toEqual({
      number: "1.5", yes: "true", object: "{\"a\":[\"é\",\"\\\"\"]}", nothing: null, error: "true",
    });
  });

  it("groups spans by service and scope, in their order", () => {
    const span = (name: string, serviceName?: string, scope?: string): unknown => ({
      ...IDS, name, timestamp: 1,
      ...serviceName === undefined ? {} : { localEndpoint: { serviceName } },
      ...scope === undefined ? {} : { tags: { "otel.scope.name": scope } },
    });
    const spans = [
      span("1", "a"), span("2", "b"), span("3", "a"), span("4"), span("5", "a", "s"),
      span("6", "b"), span("7", ""), span("8", "a", "s"), span("9", "ab"),
    ];
    const order = rendered(spans).map(({ name, resource, scope }) =>
      [name, resource["service.name"] ?? null, scope.name]);
    expect(order).toEqual([
      ["1", "a", ""], ["3", "a", ""], ["5", "a", "s"], ["8", "a", "s"], ["2", "b", ""],
      ["6", "b", ""], ["4", null, ""], ["7", null, ""], ["9", "ab", ""],
    ]);
    const body = new TextEncoder().encode(JSON.stringify(spans));
    expect(readFields(renderRecord(renderer, body, indexZipkin(body)).bytes).length).toBe(4);
  });

  it("loses no span when there are more services than it looks among", () => {
    const spans = Array.from({ length: 500 }, (_, number) => ({
      ...IDS, name: `${number}`, timestamp: 1, localEndpoint: { serviceName: `s${number % 90}` },
    }));
    const output = rendered(spans);
    expect(output.length).toBe(500);
    for (const { name, resource } of output) {
      expect(resource["service.name"]).toBe(`s${Number(name) % 90}`);
    }
  });

  it("renders wanted spans only, each with its suffix", () => {
    const suffix = encodeSuffix({
      policy: "p", sampleRate: 1, trigger: "root", incompleteReason: "late",
    });
    const spans = ["1", "2", "1", "3"].map((traceId, number) =>
      ({ traceId, id: "1", name: `${number}`, timestamp: 1, tags: { a: "b" } }));
    const output = rendered(spans, { wanted: [2, 0, 1], suffixes: [new Uint8Array(0), suffix] });
    expect(output.map(({ name, attributes }) => [name, Object.keys(attributes).length]))
      .toEqual([["0", 6], ["2", 6], ["3", 1]]);
    expect(output[0]!.attributes).toMatchObject({
      a: "b", "tailrace.policy": "p", "tailrace.complete": false,
    });
  });

  it("counts the last of a member given twice, and passes over what it does not know", () => {
    expect(rendered(`[{"traceId":"1","id":"2","id":"3","kind":"CLIENT","kind":"SERVER",
      "timestamp":1,"timestamp":2,"duration":5,"duration":null,"unknown":{"a":[1]},
      "tags":{"error":"x","error":"y","a":"1"},"tags":{"b":"2"},"annotations":"x",
      "localEndpoint":{"serviceName":"a","serviceName":"b"}}]`)[0]).toMatchObject({
      spanId: "0000000000000003", kind: 2, startNs: 2000n, endNs: 2000n, statusMessage: "y",
      attributes: { a: "1", b: "2" }, resource: { "service.name": "b" }, events: [],
    });
  });
});
