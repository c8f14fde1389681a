// A look at the addresses before the server is started: its own message about them is one of
// hundreds of lines, and comes after it has touched its data.

import net from "node:net";
import { GatewayError } from "../base/errors.ts";

interface ListenSetting {
  readonly setting: string;
  readonly urls: readonly string[];
}

/** @throws GatewayError ADDRESS_IN_USE; CONFIG_INVALID for what is no address of this machine. */
export async function checkAddresses(settings: readonly ListenSetting[]): Promise<void> {
  for (const { setting, urls } of settings) {
    for (const url of urls) await checkAddress(setting, url);
  }
}

async function checkAddress(setting: string, url: string): Promise<void> {
  const { host, port } = readUrl(setting, url);
  const fault = await tryListen(host, port);
  if (fault === null) return;
  const detail = { setting, url, code: fault.code };
  if (fault.code === "EADDRINUSE") {
    throw new GatewayError(
      "ADDRESS_IN_USE", `${host}:${port} is in use: stop what listens there, or change ${setting}`,
      detail, fault,
    );
  }
  throw new GatewayError(
    "CONFIG_INVALID", `${setting}: this machine cannot listen at ${host}:${port} (${fault.code})`,
    detail, fault,
  );
}

function readUrl(setting: string, url: string): { host: string; port: number } {
  try {
    const { hostname, port } = new URL(url);
    if (hostname !== "" && port !== "") {
      return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) };
    }
  } catch {
    // said below, with an example
  }
  throw new GatewayError(
    "CONFIG_INVALID", `${setting}: "${url}" is no address; write it like 0.0.0.0:2379`,
    { setting, url },
  );
}

async function tryListen(host: string, port: number): Promise<NodeJS.ErrnoException | null> {
  return await new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}
