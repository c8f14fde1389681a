// The certificate, key and client CA files of a listener: read, and checked as a whole, before any
// of it is used. What is wrong is said in one sentence with the setting and the file.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { GatewayError } from "../base/errors.ts";

/** Absolute paths; `clientCaFile` "" for none: clients need no certificate. */
export interface TlsFileNames {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile: string;
}

/** What a listener serves. */
export interface TlsMaterial {
  readonly context: SecureContextOptions;
  /** When the listener's certificate begins and stops to be valid, ms since the Unix epoch. */
  readonly validFromMs: number;
  readonly validToMs: number;
}

/** Chains and lists of authorities are far smaller; a larger file is the wrong one. */
const FILE_BYTES_MAX = 1024 * 1024;
const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END [A-Z0-9 ]+-----/g;

/** The files of one listener, and what was last read from them. */
export class TlsFiles {
  readonly listener: string;
  readonly names: TlsFileNames;
  /** Checked and usable. */
  material: TlsMaterial;

  /** @throws GatewayError CONFIG_INVALID */
  constructor(listener: string, names: TlsFileNames) {
    this.listener = listener;
    this.names = names;
    this.material = this.read();
  }

  get asksForCertificates(): boolean {
    return this.names.clientCaFile !== "";
  }

  /** What the files hold now. @throws GatewayError CONFIG_INVALID */
  read(): TlsMaterial {
    const { certFile, keyFile, clientCaFile } = this.names;
    const cert = this.readText("TLSCertFile", certFile);
    const [own] = this.certificates("TLSCertFile", certFile, cert);
    const keyText = this.readText("TLSKeyFile", keyFile);
    const key = this.privateKey(keyFile, keyText);
    if (own === undefined || !own.checkPrivateKey(key)) {
      throw this.fault("TLSKeyFile", keyFile, `is not the key of the certificate in ${certFile}: `
        + "give both of the same pair, the listener's own certificate first in its file");
    }
    const context: SecureContextOptions = { cert, key: keyText, minVersion: "TLSv1.2" };
    if (this.asksForCertificates) {
      const ca = this.readText("TLSClientCAFile", clientCaFile);
      this.certificates("TLSClientCAFile", clientCaFile, ca);
      context.ca = ca;
    }
    try {
      createSecureContext(context);
    } catch (error) {
      throw this.fault("TLSCertFile", certFile, `cannot be used: ${textOf(error)}`);
    }
    return {
      context, validFromMs: Date.parse(own.validFrom), validToMs: Date.parse(own.validTo),
    };
  }

  /** Differs from what it was when one of the files was written or replaced. */
  signature(): string {
    return Object.values(this.names).filter((name) => name !== "").map(signatureOf).join(" ");
  }

  private readText(setting: string, file: string): string {
    try {
      const { size } = statSync(file);
      if (size > FILE_BYTES_MAX) throw new Error(`has ${size} bytes`);
      return readFileSync(file, "utf8");
    } catch (error) {
      throw this.fault(setting, file,
        `cannot be read (${textOf(error)}): name a PEM file that this user may read`);
    }
  }

  private certificates(setting: string, file: string, text: string): X509Certificate[] {
    const blocks = text.match(CERTIFICATE) ?? [];
    if (blocks.length === 0) {
      const text = "has no certificate in PEM form (-----BEGIN CERTIFICATE-----)";
      throw this.fault(setting, file, text);
    }
    return blocks.map((block, index) => {
      try {
        return new X509Certificate(block);
      } catch (error) {
        throw this.fault(setting, file,
          `is damaged: certificate ${index + 1} of ${blocks.length} (${textOf(error)})`);
      }
    });
  }

  private privateKey(file: string, text: string): KeyObject {
    try {
      return createPrivateKey(text);
    } catch (error) {
      const encrypted = /-----BEGIN ENCRYPTED|Proc-Type:[^\n]*ENCRYPTED/.test(text);
      throw this.fault("TLSKeyFile", file, encrypted
        ? "is encrypted: give the key without a passphrase, in a file that only this user may read"
        : `has no private key in PEM form (${textOf(error)})`);
    }
  }

  private fault(setting: string, file: string, text: string): GatewayError {
    return new GatewayError("CONFIG_INVALID",
      `${setting} of listener "${this.listener}": ${file} ${text}`,
      { listener: this.listener, setting, file });
  }
}

/** Follows links: a certificate is often replaced by turning one over. */
function signatureOf(file: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(file);
    return `${ino}:${size}:${mtimeMs}`;
  } catch (error) {
    return textOf(error);
  }
}

/** A system error by its code, others by what they say; never by what a file holds. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && /^E[A-Z]+$/.test(code) ? code : error.message;
}
