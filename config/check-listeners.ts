// What must hold between the settings of one listener.

import { memberOf, pathOf, type ReadContext, type Section } from "./read-section.ts";
import type { ListenerSettings } from "./settings-types.ts";

/** scheme://host or scheme://host:port, a star allowed in the host or in place of the port. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/(?:\[[0-9a-f:.]+\]|[a-z0-9._*-]+)(?::(?:\d{1,5}|\*))?$/i;
/** What a page without an origin of its own sends, such as one from a file. */
const NO_ORIGIN = "null";
const ANY_ORIGIN = "*";
/** Visible ASCII: every client and proxy carries it unchanged. */
const TOKEN = /^[\x21-\x7e]+$/;

/** Reports what does not go together in a listener; `section` is where it is written. */
export function checkListener(
  listener: ListenerSettings, section: Section, context: ReadContext,
): void {
  checkTls(listener, section, context);
  listener.allowedOrigins.forEach((origin, index) => {
    const fault = originFault(origin);
    if (fault === null) return;
    report(section, "AllowedOrigins", `entry ${index + 1}, "${origin}", ${fault}`, context);
  });
  listener.acceptTokens.forEach((token, index) => {
    if (TOKEN.test(token)) return;
    report(section, "AcceptTokens", `entry ${index + 1} (hidden) has a space or a character that `
      + "is not ASCII, which clients cannot send in a header; choose another token", context);
  });
}

function checkTls(listener: ListenerSettings, section: Section, context: ReadContext): void {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = listener;
  if (tlsCertFile !== "" && tlsKeyFile === "") {
    report(section, "TLSCertFile", "needs TLSKeyFile, the private key of the certificate; "
      + "write both, or neither for plain HTTP", context);
  }
  if (tlsCertFile !== "") return;
  for (const [name, value] of [
    ["TLSKeyFile", tlsKeyFile], ["TLSClientCAFile", tlsClientCaFile],
  ] as const) {
    if (value === "") continue;
    report(section, name, "needs TLSCertFile, the listener's own certificate; "
      + "write it as well, or leave this key out for plain HTTP", context);
  }
}

function originFault(origin: string): string | null {
  if (origin === ANY_ORIGIN || origin === NO_ORIGIN) return null;
  if (origin.split("*").length > 2) return "has more than one *; write at most one";
  if (ORIGIN.test(origin)) return null;
  return "is no origin, so no page would match it; write it like \"https://shop.example\" or "
    + "\"https://*.shop.example\", without a path or a slash at the end, or \"*\" for any";
}

function report(section: Section, name: string, message: string, context: ReadContext): void {
  const offset = memberOf(section, name)?.node.offset ?? section.node.offset;
  context.findings.problem(pathOf(section, name), message, offset);
}
