import { describe, expect, it } from "vitest";
import {
  FULL_SUCCESS, GRPC_INVALID_ARGUMENT, GRPC_UNAVAILABLE, partialSuccess, statusBody,
} from "../../../../engine/wire/otlp-proto/reply.ts";
import { readFields } from "../../../support/proto-wire.ts";

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

describe("replies to OTLP exporters", () => {
  it("say nothing when everything was accepted", () => {
    expect(FULL_SUCCESS.length).toBe(0);
  });

  it("tell how many spans were not taken, and why", () => {
    for (const rejected of [1, 127, 128, 300, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      const [partial, ...rest] = readFields(partialSuccess(rejected, "no trace id: ünïcode"));
      expect(rest).toEqual([]);
      expect(partial?.field).toBe(1);
      const fields = readFields(partial!.bytes);
      expect(fields.map(({ field }) => field)).toEqual([1, 2]);
      expect(fields[0]!.number).toBe(BigInt(rejected));
      expect(text(fields[1]!.bytes)).toBe("no trace id: ünïcode");
    }
  });

  it("may warn without refusing anything", () => {
    const fields = readFields(readFields(partialSuccess(0, "old client"))[0]!.bytes);
    expect(fields.map(({ field }) => field)).toEqual([2]);
  });

  it("carry a google.rpc.Status for errors", () => {
    const fields = readFields(statusBody(GRPC_UNAVAILABLE, "storage is full"));
    expect(fields[0]).toMatchObject({ field: 1, wireType: 0, number: 14n });
    expect(fields[1]).toMatchObject({ field: 2, wireType: 2 });
    expect(text(fields[1]!.bytes)).toBe("storage is full");
    expect(readFields(statusBody(GRPC_INVALID_ARGUMENT, "")).length).toBe(1);
  });

  it("cut texts that are too long", () => {
    const fields = readFields(statusBody(GRPC_INVALID_ARGUMENT, "x".repeat(5_000)));
    expect(fields[1]!.bytes.length).toBe(1_024);
  });

  it("cannot call an error OK or count a negative number", () => {
    expect(() => statusBody(0, "")).toThrow("an error is not OK");
    expect(() => partialSuccess(-1, "")).toThrow("counted");
    expect(() => partialSuccess(0.5, "")).toThrow("counted");
  });
});
