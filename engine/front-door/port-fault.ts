// Why a listener could not be opened, and what to do about it. uws says only "no": then the reason
// is found by asking the system the same once more.

import { createServer } from "node:net";
import { GatewayError } from "../base/errors.ts";

/** What an operator can do about a system error of listen. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process has this port: stop it, or choose another port in ListenAddr",
  EADDRNOTAVAIL: "this machine has no such address: write one of its own in ListenAddr",
  EAFNOSUPPORT: "this machine has no addresses of this kind: write another one in ListenAddr",
  ENOTFOUND: "this name has no address: correct ListenAddr, or look at DNS",
  EAI_AGAIN: "this name has no address now: correct ListenAddr, or look at DNS",
  EACCES: "this user may not use this port: choose one from 1024 up or grant CAP_NET_BIND_SERVICE",
};

/** The error for a listener that could not be opened. @param code of the system's error. */
export function portFault(
  listener: string, host: string, port: number, code: string,
): GatewayError {
  const advice = ADVICE[code] ?? `the system says ${code}`;
  const place = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  return new GatewayError(
    "ADDRESS_IN_USE", `cannot listen on ${place} for "${listener}": ${advice}`,
    { listener, host, port, systemCode: code },
  );
}

/** Code of the system error of a listen, or "no error" when it works now. */
export function askSystemCode(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => resolve("no error when asked again: try once more"));
    });
  });
}
