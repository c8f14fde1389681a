import type { ForwarderSettings, Settings } from "../../config/settings-types.ts";
import { tableBytes } from "./plans.ts";

const MIB = 1024 * 1024;

/** What a person wants to know when the gateway is up: addresses, where traces go, what to try. */
export function banner(
  settings: Settings, source: string, version: string,
  facts: { readonly ringBytes: number; readonly storageLimitBytes: number },
): string {
  const [first] = settings.listenFrom;
  const lines = [
    `tailrace ${version} is ready (span workers: ${settings.workers}, settings: ${source})`,
    ...settings.listenFrom.map(({ name, address }) =>
      `  takes    OTLP/HTTP protobuf on http://${address.host}:${address.port}/v1/traces`
      + `  [${name}]`),
    ...settings.forwardTo.map((forwarder) => `  sends    ${destinationOf(forwarder)}`),
    `  stores   ${settings.dataDirectory} (at most `
      + `${Math.round(facts.storageLimitBytes / MIB)} MiB, durability: ${settings.durability})`,
    `  memory   tables ${Math.round(tableBytes(settings) / MIB)} MiB and rings `
      + `${Math.round(facts.ringBytes / MIB)} MiB at most; resident as they are used`,
  ];
  const { adminAddress } = settings;
  lines.push(`  admin    http://${adminAddress.host}:${adminAddress.port}`
    + "  (/metrics /status /healthz /readyz /traces/ID)");
  if (first !== undefined) {
    lines.push("", "Send it traffic:", `  ${sampleCommand(first.address.port)}`);
  }
  return `${lines.join("\n")}\n`;
}

function destinationOf(forwarder: ForwarderSettings): string {
  const where = forwarder.type === "file" ? `OTLP JSON lines in ${forwarder.path}` : forwarder.url;
  const { traceSample } = forwarder;
  if (traceSample === null) return `every span to ${where}  [${forwarder.name}]`;
  // Checked when the settings were read.
  const policies = traceSample.policies.map((policy) => (policy as { name: string }).name);
  return `kept traces (${policies.join(", ")}) to ${where}  [${forwarder.name}], judged `
    + `${traceSample.decisionWaitMs / 1000} s after their first span`;
}

function sampleCommand(port: number): string {
  return port === 4318 ? "npm run send-load" : `npm run send-load -- --port ${port}`;
}
