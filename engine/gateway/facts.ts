// What the admin endpoints tell of the settings.

import type { ForwarderSettings, Settings } from "../../config/settings-types.ts";
import { addressText, withoutSecrets } from "../../config/values.ts";
import type { ForwarderFacts, GatewayFacts } from "../telemetry/gateway-facts.ts";

/** @param tableBytes and `ringBytes` as planned. */
export function gatewayFacts(
  settings: Settings, storageLimitBytes: number, tableBytes: number, ringBytes: number,
): GatewayFacts {
  const { serverName, clusterName, workers, durability, dataDirectory } = settings;
  return {
    serverName, clusterName, workers, durability, dataDirectory, storageLimitBytes,
    tableBytesMax: tableBytes, ringBytesMax: ringBytes,
    listeners: settings.listenFrom.map(({ name, type, address, tlsCertFile }) => ({
      name, type, address: addressText(address), tls: tlsCertFile !== "",
    })),
    forwarders: settings.forwardTo.map(forwarderFacts),
  };
}

function forwarderFacts(forwarder: ForwarderSettings): ForwarderFacts {
  const { name, type, traceSample } = forwarder;
  return {
    name, type,
    destination: forwarder.type === "file" ? forwarder.path : withoutSecrets(forwarder.url),
    sampler: traceSample === null ? null
      : { decisionWaitMs: traceSample.decisionWaitMs, policies: traceSample.policies },
  };
}
