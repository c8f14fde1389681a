// From a listener of the settings to what the front door makes of it.

import type { ListenerSettings, Settings } from "../../config/settings-types.ts";
import type { ListenerOptions } from "../front-door/front-door.ts";
import { OTLP_ROUTES, type Route, SIGNALFX_ROUTES } from "../front-door/routes.ts";

/** A listener's options for the door. */
export function listenerOptions(settings: Settings, listener: ListenerSettings): ListenerOptions {
  const { name, type, address, tlsCertFile, tlsKeyFile, tlsClientCaFile } = listener;
  return {
    name, host: address.host, port: address.port, routes: routesOf(type),
    ...(tlsCertFile === "" ? {} : {
      tls: { certFile: tlsCertFile, keyFile: tlsKeyFile, clientCaFile: tlsClientCaFile },
    }),
    allowedOrigins: listener.allowedOrigins,
    acceptTokens: listener.acceptTokens,
    gatewayName: type === "signalfx" ? settings.serverName : "",
  };
}

/** Paths that a listener of a type takes spans on. */
export function routesOf(type: ListenerSettings["type"]): readonly Route[] {
  switch (type) {
    case "otlp": return OTLP_ROUTES;
    case "signalfx": return SIGNALFX_ROUTES;
  }
}
