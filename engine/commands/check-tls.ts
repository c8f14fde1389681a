// The TLS files of listeners and of the cluster's etcd, read as a start would: they are there, they
// parse, they belong together. What a key file holds is never shown.

import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Problem } from "../../config/findings.ts";
import type { ClusterSettings, ListenerSettings, Settings } from "../../config/settings-types.ts";

/** A file, "" for none, and the key of the configuration that names it. */
interface NamedFile {
  readonly path: string;
  readonly file: string;
}

/** The three that belong together. */
interface TlsSet {
  readonly certificate: NamedFile;
  readonly key: NamedFile;
  readonly authority: NamedFile;
}

/** Problems of all files that the settings name. */
export function checkTlsFiles({ listenFrom, cluster }: Settings): Problem[] {
  return [...listenFrom.map(ofListener), ...(cluster === null ? [] : ofCluster(cluster))]
    .flatMap(problemsOf);
}

function ofListener(listener: ListenerSettings, index: number): TlsSet {
  const at = `ListenFrom[${index}]`;
  return {
    certificate: { path: `${at}.TLSCertFile`, file: listener.tlsCertFile },
    key: { path: `${at}.TLSKeyFile`, file: listener.tlsKeyFile },
    authority: { path: `${at}.TLSClientCAFile`, file: listener.tlsClientCaFile },
  };
}

/** A client has no etcd server, and so no peers. */
function ofCluster(cluster: ClusterSettings): TlsSet[] {
  const kinds = cluster.operation === "client" ? ["Client"] as const : ["Client", "Peer"] as const;
  return kinds.map((kind) => ({
    certificate: { path: `Etcd${kind}CertFile`, file: cluster[`etcd${kind}CertFile`] },
    key: { path: `Etcd${kind}KeyFile`, file: cluster[`etcd${kind}KeyFile`] },
    authority: { path: `Etcd${kind}TrustedCaFile`, file: cluster[`etcd${kind}TrustedCaFile`] },
  }));
}

function problemsOf({ certificate, key, authority }: TlsSet): Problem[] {
  const problems: Problem[] = [];
  const refuse = ({ path }: NamedFile, message: string): null => {
    problems.push({ path, message, place: null });
    return null;
  };
  const read = <T>(named: NamedFile, kind: string, parse: (pem: Buffer) => T): T | null => {
    const { file } = named;
    return file === "" ? null : readPem(file, kind, parse, (message) => refuse(named, message));
  };
  const parsed = read(certificate, "certificate", parseCertificate);
  const parsedKey = read(key, "private key", parseKey);
  read(authority, "certificate", parseCertificate);
  if (parsed !== null) checkDates(parsed, (text) => refuse(certificate, text));
  if (parsed !== null && parsedKey !== null && !parsed.checkPrivateKey(parsedKey)) {
    refuse(key, `${key.file} is not the key of the certificate in ${certificate.file}`);
  }
  return problems;
}

function parseCertificate(pem: Buffer): X509Certificate {
  return new X509Certificate(pem);
}

function parseKey(pem: Buffer): KeyObject {
  return createPrivateKey(pem);
}

function readPem<T>(
  file: string, kind: string, parse: (pem: Buffer) => T, refuse: (message: string) => null,
): T | null {
  let pem: Buffer;
  try {
    pem = readFileSync(file);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    return refuse(`${file} cannot be read (${code}); it must be a file that this user may read`);
  }
  try {
    return parse(pem);
  } catch {
    return refuse(`${file} holds no ${kind} in PEM that can be read without a passphrase`);
  }
}

function checkDates({ validTo }: X509Certificate, refuse: (message: string) => null): void {
  if (new Date(validTo).getTime() < Date.now()) {
    refuse(`the certificate is no longer valid: it ended on ${validTo}; clients will refuse it`);
  }
}
