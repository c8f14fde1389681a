import { existsSync } from "node:fs";
import type {
  ForwarderSettings, ListenerSettings, Settings,
} from "../../config/settings-types.ts";
import type { EngineName } from "../front-door/http-engine.ts";
import { routesOf } from "./listeners.ts";
import { shownAddress } from "../base/shown-address.ts";
import type { MemoryPlan } from "./memory-plan.ts";

const MIB = 1024 * 1024;
const LOOPBACK = "127.0.0.1";
/** Where send-load goes by itself. */
const PORT_DEFAULT = 4318;
const SENDER = new URL("../../scripts/send-load.js", import.meta.url);

const PROTOCOLS: Readonly<Record<ListenerSettings["type"], string>> = {
  otlp: "OTLP/HTTP (protobuf, JSON)", signalfx: "Zipkin JSON",
};

/** What became of a listener of the settings. */
export interface BannerListener {
  readonly port: number;
  readonly engine: EngineName;
}

/** What the settings do not say. */
export interface BannerFacts {
  readonly ringBytes: number;
  readonly memory: MemoryPlan;
  readonly storageLimitBytes: number;
  /** In the order of the settings. */
  readonly listeners: readonly BannerListener[];
}

/** What a person wants to know when the gateway is up: addresses, where traces go, what to try. */
export function banner(
  settings: Settings, source: string, version: string, facts: BannerFacts,
): string {
  const lines = [
    `tailrace ${version} is ready (span workers: ${settings.workers}, settings: ${source})`,
    ...settings.listenFrom.map((listener, index) => {
      return `  takes    ${listenerOf(listener, facts.listeners[index]!)}`; // one each
    }),
    ...settings.forwardTo.map((forwarder) => `  sends    ${destinationOf(forwarder)}`),
    `  stores   ${settings.dataDirectory} (at most `
      + `${Math.round(facts.storageLimitBytes / MIB)} MiB, near that: ${settings.storagePolicy}, `
      + `durability: ${settings.durability})`,
    `  memory   tables ${Math.round(facts.memory.tableBytes / MIB)} MiB and rings `
      + `${Math.round(facts.ringBytes / MIB)} MiB at most; resident as they are used`
      + `${facts.memory.shrunk
        ? ` (MaxTraces is ${facts.memory.tracesMax}, to fit MemoryLimit)` : ""}`,
  ];
  const { adminAddress, cluster } = settings;
  if (cluster !== null) {
    const { clusterName, serverName, operation } = cluster;
    lines.push(`  cluster  ${clusterName}, node ${serverName}, operation ${operation}`);
  }
  lines.push(`  admin    http://${adminAddress.host}:${adminAddress.port}`
    + `  (/metrics /status ${cluster === null ? "" : "/cluster "}/healthz /readyz /traces/ID)`);
  const sample = settings.listenFrom.findIndex(takesSample);
  if (sample >= 0) {
    const { port } = facts.listeners[sample]!; // one each
    const { host } = settings.listenFrom[sample]!.address; // found above
    lines.push("", "Send it traffic:", `  ${sampleCommand(host, port)}`);
  }
  return `${lines.join("\n")}\n`;
}

function listenerOf(listener: ListenerSettings, { port, engine }: BannerListener): string {
  const { type, name, address: { host } } = listener;
  const scheme = listener.tlsCertFile === "" ? "http" : "https";
  const place = `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const [first, ...others] = routesOf(type).map(({ path }) => path);
  const also = others.length === 0 ? "" : ` (also ${others.join(", ")})`;
  const notes = [
    name, engine,
    ...(listener.tlsClientCaFile === "" ? [] : ["client certificate needed"]),
    ...(listener.acceptTokens.length === 0 ? [] : ["access token needed"]),
    ...(listener.allowedOrigins.length === 0 ? [] : ["open to browsers"]),
  ];
  return `${PROTOCOLS[type]} on ${place}${first ?? ""}${also}  [${notes.join(", ")}]`;
}

/** The made-up traces are OTLP over plain HTTP, without a token. */
function takesSample({ type, tlsCertFile, acceptTokens }: ListenerSettings): boolean {
  return type === "otlp" && tlsCertFile === "" && acceptTokens.length === 0;
}

function destinationOf(forwarder: ForwarderSettings): string {
  const where = forwarder.type === "file" ? `OTLP JSON lines in ${forwarder.path}`
    : shownAddress(forwarder.url);
  const { traceSample } = forwarder;
  if (traceSample === null) return `every span to ${where}  [${forwarder.name}]`;
  // Checked when the settings were read.
  const policies = traceSample.policies.map((policy) => (policy as { name: string }).name);
  return `kept traces (${policies.join(", ")}) to ${where}  [${forwarder.name}], judged `
    + `${traceSample.decisionWaitMs / 1000} s after their first span`;
}

/** A clone has a sender of its own, for 127.0.0.1; an installation has not. */
function sampleCommand(host: string, port: number): string {
  const isElsewhere = host.startsWith("127.") && host !== LOOPBACK;
  if (isElsewhere || !existsSync(SENDER)) {
    return `OTEL_EXPORTER_OTLP_ENDPOINT=http://${isElsewhere ? host : LOOPBACK}:${port}`;
  }
  return port === PORT_DEFAULT ? "npm run send-load" : `npm run send-load -- --port ${port}`;
}
