// The least that any installed gateway must do: take traces, keep what fails, drop the rest.

import path from "node:path";
import { expect } from "vitest";
import type { GatewayConfig, GatewayProcess, Ports } from "./gateway.ts";
import { encodeRequest, type SpanInput } from "./otlp-builder.ts";
import { readSpanFiles } from "./span-files.ts";

const TRACES = 40;
const ANSWER_MS = 10_000;
const NS_PER_MS = 1_000_000n;
const STATUS_ERROR = 2;

/** Settings of a gateway with its data below `directory` that keeps failed traces in files. */
export function firstUseConfig(directory: string, { port, adminPort }: Ports): GatewayConfig {
  return {
    AdminAddress: `127.0.0.1:${adminPort}`,
    BackupLocation: path.join(directory, "data"),
    DrainDelay: "200ms",
    MaxTraces: 10_000,
    ListenFrom: [{ Type: "otlp", ListenAddr: `127.0.0.1:${port}` }],
    ForwardTo: [{
      Type: "file", Name: "kept", Path: path.join(directory, "kept"),
      TraceSample: {
        DecisionWait: "500ms",
        Policies: [
          { name: "errors", type: "status_code", status_code: { status_codes: ["ERROR"] } },
        ],
      },
    }],
  };
}

/** Sends one-span traces, every second one failed, and sees exactly those in the files. */
export async function expectFirstUse(gateway: GatewayProcess, directory: string): Promise<void> {
  const spans = Array.from({ length: TRACES }, (_, index) => spanOf(index));
  const answer = await fetch(`http://127.0.0.1:${gateway.port}/v1/traces`, {
    method: "POST", headers: { "content-type": "application/x-protobuf" },
    body: encodeRequest([{ resource: { "service.name": "shop" }, spans }]),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  expect(answer.status).toBe(200);
  await gateway.settled();
  const failed = spans.filter(({ statusCode }) => statusCode === STATUS_ERROR);
  const kept = readSpanFiles(path.join(directory, "kept"));
  expect([...kept.keys()].sort())
    .toEqual(failed.map(({ traceId, spanId }) => `${traceId}/${spanId}`).sort());
  expect(new Set(kept.values())).toEqual(new Set([1]));
}

function spanOf(index: number): SpanInput {
  const startNs = BigInt(Date.now()) * NS_PER_MS;
  return {
    traceId: (index + 1).toString(16).padStart(32, "e"),
    spanId: (index + 1).toString(16).padStart(16, "0"),
    name: "GET /basket", startNs, endNs: startNs + 5n * NS_PER_MS,
    ...(index % 2 === 0 ? { statusCode: STATUS_ERROR } : {}),
  };
}
