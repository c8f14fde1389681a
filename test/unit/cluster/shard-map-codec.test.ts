import { describe, expect, it } from "vitest";
import { GatewayError } from "../../../engine/base/errors.ts";
import { decodeMap, encodeMap, MAP_FORMAT } from "../../../engine/cluster/shard-map-codec.ts";
import { MEMBERS_MAX, planMap } from "../../../engine/cluster/shard-map.ts";
import { mapMember } from "../../support/map-members.ts";

/** What etcd takes for one request. */
const REQUEST_BYTES_MAX = 1.5 * 1024 * 1024;

const map = planMap(
  planMap(null, [mapMember("a"), mapMember("b", { capacity: 3 })]),
  [mapMember("b", { capacity: 3 }), mapMember("c"), mapMember("ü\n\"'")]);

function refusalOf(text: string): GatewayError {
  try {
    decodeMap(text);
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error("it was read");
}

function changed(change: (value: Record<string, unknown>) => void): string {
  const value = JSON.parse(encodeMap(map)) as Record<string, unknown>;
  change(value);
  return JSON.stringify(value);
}

describe("the map's value", () => {
  it("says the whole map", () => {
    expect(decodeMap(encodeMap(map))).toEqual(map);
    const empty = planMap(null, []);
    expect(decodeMap(encodeMap(empty))).toEqual(empty);
  });

  it("fits a request with as many members as there may be, with the longest texts", () => {
    const long = (index: number): string => `${index}-${"é".repeat(200)}`;
    const full = planMap(null, Array.from({ length: MEMBERS_MAX }, (_, index) => mapMember(
      long(index), {
        logId: long(index), incarnation: long(index), policySet: long(index),
        rebalanceAddress: long(index), ingestAddress: long(index),
      })));
    const text = encodeMap(full);
    expect(Buffer.byteLength(text)).toBeLessThan(REQUEST_BYTES_MAX);
    expect(decodeMap(text)).toEqual(full);
  });

  it("of a newer format is refused with what to do", () => {
    const error = refusalOf(changed((value) => { value["format"] = MAP_FORMAT + 1; }));
    expect(error.code).toBe("CLUSTER_FORMAT");
    expect(error.message).toBe(
      "the cluster's map has format 2 and this version reads up to 1: upgrade this node");
  });

  it.each<[string, (value: Record<string, unknown>) => void]>([
    ["no format", (value) => { delete value["format"]; }],
    ["format 0", (value) => { value["format"] = 0; }],
    ["epoch 0", (value) => { value["epoch"] = 0; }],
    ["half an epoch", (value) => { value["epoch"] = 1.5; }],
    ["an epoch before a shard's", (value) => { value["epoch"] = 1; }],
    ["a table too short", (value) => { value["owners"] = String(value["owners"]).slice(4); }],
    ["a table that is no base64", (value) => { value["since"] = "*"; }],
    ["an owner that is no member", (value) => { (value["members"] as unknown[]).pop(); }],
    ["members out of order", (value) => { (value["members"] as unknown[]).reverse(); }],
    ["a member twice", (value) => {
      const members = value["members"] as unknown[];
      members[1] = members[0];
    }],
    ["no members", (value) => { delete value["members"]; }],
  ])("with %s is refused", (_, change) => {
    expect(refusalOf(changed(change)).code).toBe("CLUSTER_FORMAT");
  });

  it.each(["", "null", "7", "[]", "{", "\u0000"])("%j is refused", (text) => {
    expect(refusalOf(text).code).toBe("CLUSTER_FORMAT");
  });
});
