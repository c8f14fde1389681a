// Certificates for tests, made by openssl when they are needed.

import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/** False where openssl is missing: tests of TLS cannot run there. */
export const HAS_OPENSSL = spawnSync("openssl", ["version"]).status === 0;

/** Paths of a certificate and its key. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** Common name; all are valid for 127.0.0.1 and localhost. */
  readonly name: string;
  /** Who signs it; it signs itself otherwise, and may sign others. */
  readonly by?: CertificateFiles;
  /** Days until it expires; 0 or less: expired already. */
  readonly days?: number;
}

/** A directory of certificates that is removed with `remove`. */
export class Certificates {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-tls-"));
  #count = 0;

  remove(): void {
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  path(name: string): string {
    return path.join(this.directory, name);
  }

  make({ name, by, days = 30 }: CertificateOptions): CertificateFiles {
    const base = this.path(`${++this.#count}-${name}`);
    const files = { cert: `${base}.crt`, key: `${base}.key` };
    const request = `${base}.csr`;
    const extensions = `${base}.ext`;
    fs.writeFileSync(extensions, [
      `basicConstraints=CA:${by === undefined ? "TRUE" : "FALSE"}`,
      "subjectAltName=IP:127.0.0.1,DNS:localhost",
    ].join("\n"));
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
      "-keyout", files.key, "-out", request, "-subj", `/CN=${name}`);
    const signer = by === undefined
      ? ["-signkey", files.key]
      : ["-CA", by.cert, "-CAkey", by.key, "-set_serial", String(1000 + this.#count)];
    if (days <= 0) return this.#expired(files, request, extensions, signer);
    openssl("x509", "-req", "-in", request, "-out", files.cert, "-days", String(days),
      "-extfile", extensions, ...signer);
    return files;
  }

  /** A key that openssl wants a passphrase for. */
  encryptedKey(key: string): string {
    const encrypted = `${key}.encrypted`;
    openssl("pkcs8", "-topk8", "-in", key, "-out", encrypted, "-passout", "pass:secret");
    return encrypted;
  }

  #expired(
    files: CertificateFiles, request: string, extensions: string, signer: readonly string[],
  ): CertificateFiles {
    openssl("x509", "-req", "-in", request, "-out", files.cert, "-days", "-1",
      "-extfile", extensions, ...signer);
    return files;
  }
}

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: "pipe" });
}
