// Takes a listener's new certificate while it runs. The files are looked at, not watched: editors,
// Kubernetes and cert-manager replace files and links in ways that a watch loses.
//
// Certificate and key are two files, so one may be new while the other is not yet. Files that do
// not fit are looked at once more; only when they still do not, somebody is told, once for each
// change. What was served goes on being served.

import { TLS_POLL_MS } from "./door-limits.ts";
import type { DoorListener } from "./door-listener.ts";
import type { FrontDoorDependencies } from "./front-door.ts";
import type { TlsFiles, TlsMaterial } from "./tls-files.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** From here on before its end a certificate is spoken of daily. */
const WARN_BEFORE_MS = 7 * DAY_MS;

/** Keeps the certificate of one listener up to date; main thread. */
export class TlsRenewal {
  private readonly files: TlsFiles;
  private readonly number: number;
  private readonly dependencies: FrontDoorDependencies;
  private readonly onRenewed: (material: TlsMaterial) => void;
  /** Of the files whose content is known, usable or not. */
  private signature: string;
  /** Of files that were no use when they were first looked at. */
  private suspect: string;
  private warnedMs: number;
  private timer: NodeJS.Timeout | null;

  constructor(
    listener: DoorListener, files: TlsFiles, dependencies: FrontDoorDependencies,
    onRenewed: (material: TlsMaterial) => void,
  ) {
    this.files = files;
    this.number = listener.number;
    this.dependencies = dependencies;
    this.onRenewed = onRenewed;
    this.signature = files.signature();
    this.suspect = "";
    this.warnedMs = -Infinity;
    this.timer = null;
  }

  start(pollMs = TLS_POLL_MS): void {
    this.noteExpiry();
    this.timer = setInterval(() => this.look(), pollMs);
    this.timer.unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  /** Looks at the files once. Does not throw. */
  look(): void {
    try {
      const signature = this.files.signature();
      if (signature !== this.signature) this.take(signature);
      this.noteExpiry();
    } catch (error) {
      this.dependencies.onFailure(error, "callback");
    }
  }

  private take(signature: string): void {
    const { counters, log } = this.dependencies;
    const { listener, names } = this.files;
    try {
      const material = this.files.read();
      this.onRenewed(material);
      this.files.material = material;
    } catch (error) {
      if (signature !== this.suspect) {
        this.suspect = signature; // perhaps only one of two files is new
        return;
      }
      this.signature = signature;
      counters.tlsReloadFailures[this.number] = counters.tlsReloadFailures[this.number]! + 1;
      log("error", "changed TLS files cannot be used; the former certificate is still served: put "
        + "files in their place that fit each other", {
        listener, error: error instanceof Error ? error.message : String(error),
      });
      return;
    }
    this.signature = signature;
    this.suspect = "";
    this.warnedMs = -Infinity;
    log("info", "changed TLS files are in use for new connections", {
      listener, certFile: names.certFile,
      validTo: new Date(this.files.material.validToMs).toISOString(),
    });
  }

  private noteExpiry(): void {
    const { clock, counters, log } = this.dependencies;
    const { listener, names, material: { validFromMs, validToMs } } = this.files;
    counters.certificateExpiry[this.number] = Math.floor(validToMs / 1000);
    const nowMs = clock.wallMs();
    if (nowMs < validToMs - WARN_BEFORE_MS && nowMs >= validFromMs) return;
    if (clock.monotonicMs() - this.warnedMs < DAY_MS) return;
    this.warnedMs = clock.monotonicMs();
    const message = nowMs >= validToMs ? "the certificate has expired: clients refuse it; renew it"
      : nowMs < validFromMs ? "the certificate is not valid yet: clients refuse it"
        : "the certificate expires within a week: renew it";
    log("warn", message, {
      listener, certFile: names.certFile, validFrom: new Date(validFromMs).toISOString(),
      validTo: new Date(validToMs).toISOString(),
    });
  }
}
