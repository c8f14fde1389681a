// uws says only "no" when it cannot listen. Why is found by asking the system the same once more.

import { createServer } from "node:net";
import { GatewayError } from "../base/errors.ts";

/** What an operator can do about a system error of listen. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process has this port: stop it or choose another port",
  EADDRNOTAVAIL: "this machine has no such address: choose one of its own",
  EACCES: "this user may not use this port: choose one from 1024 up or grant CAP_NET_BIND_SERVICE",
};

/** The error for a listener that could not be opened. */
export async function portFault(
  listener: string, host: string, port: number,
): Promise<GatewayError> {
  const code = await systemCode(host, port);
  const advice = ADVICE[code] ?? `the system says ${code}`;
  const place = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  return new GatewayError(
    "ADDRESS_IN_USE", `cannot listen on ${place} for "${listener}": ${advice}`,
    { listener, host, port, systemCode: code },
  );
}

/** Code of the system error of a listen, or "no error" when it works now. */
function systemCode(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => resolve("no error when asked again: try once more"));
    });
  });
}
