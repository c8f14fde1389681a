// PEM files of the client address, as this node's own calls need them.

import { readFileSync } from "node:fs";
import { GatewayError } from "../base/errors.ts";
import { hasCertificate, type TlsFiles } from "./cluster-options.ts";
import type { ClientCredentials } from "./etcd-client.ts";
import type { HealthTls } from "./etcd-health.ts";

/** @throws GatewayError CONFIG_INVALID when a file cannot be read. */
export function readCredentials(tls: TlsFiles | null): ClientCredentials | null {
  if (!hasCertificate(tls)) return null;
  const certificate = readPem(tls.certificateFile);
  // Without an authority of its own, the certificate must vouch for itself.
  const root = tls.trustedCaFile === "" ? certificate : readPem(tls.trustedCaFile);
  if (!tls.requireClientCertificate) return { rootCertificate: root };
  return {
    rootCertificate: root, privateKey: readPem(tls.keyFile), certificateChain: certificate,
  };
}

/** The same for /health. */
export function healthTls(credentials: ClientCredentials | null): HealthTls | null {
  if (credentials === null) return null;
  const { rootCertificate, privateKey, certificateChain } = credentials;
  return {
    ca: rootCertificate,
    ...(certificateChain === undefined ? {} : { cert: certificateChain }),
    ...(privateKey === undefined ? {} : { key: privateKey }),
  };
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GatewayError(
      "CONFIG_INVALID", `a TLS file of the cluster cannot be read: ${reason}`, { path }, error,
    );
  }
}
