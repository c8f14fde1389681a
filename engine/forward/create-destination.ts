import type { Destination, DestinationDependencies } from "./destination.ts";
import { FileDestination } from "./file-destination.ts";
import type { ForwarderSettings } from "./forwarder-settings.ts";
import { OtlpDestination } from "./otlp-destination.ts";

/**
 * The destination of a forwarder's type.
 * @throws GatewayError CONFIG_INVALID for settings that could never work.
 */
export function createDestination(
  settings: ForwarderSettings, dependencies: DestinationDependencies,
): Destination {
  if (settings.type === "otlp") return new OtlpDestination(settings, dependencies);
  return new FileDestination(settings, dependencies);
}
