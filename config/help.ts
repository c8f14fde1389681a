// What --help prints: enough to run the gateway without any other page.

import { variablesOf } from "./environment.ts";
import type { Row } from "./setting-row.ts";
import { TOP_LEVEL } from "./settings.ts";

/** Lines of the help are no longer than this. */
const WIDTH = 96;

/** The flags alone, for standard error after a wrong one. */
export function usageText(): string {
  return `Usage: tailrace [--configfile FILE] [--cluster-op ""]

  --configfile FILE  Configuration file. A relative name is looked up in $XDG_CONFIG_HOME (or
                     ~/.config) and $XDG_CONFIG_DIRS (or /etc/xdg), then in the working directory.
                     Without the flag: sf/gateway.conf where it exists, else the defaults below.
  --cluster-op OP    seed, join or client. This version runs as a single node: leave it empty.
  --version          Print version and build date.
  --help, -h         Print this.

One dash works as well as two, and -x=v as well as -x v.
`;
}

/** The whole help. */
export function helpText(): string {
  return `tailrace: every span safe on disk, every trace judged as a whole, the good ones forwarded.

${usageText()}
Without a configuration file
  OTLP over HTTP comes in at http://127.0.0.1:4318/v1/traces. A trace is judged 30 s after its
  first span: those with an error, those longer than 500 ms, and 10 % of all are kept, in
  ./data/kept/*.jsonl. The log lies in ./data. Metrics are at http://127.0.0.1:9464/metrics,
  health at /healthz and /readyz.
  config/examples/gateway.conf is a file to start from, config/REFERENCE.md lists every setting.

Signals
  SIGTERM, SIGINT    Stop: health checks fail for DrainDelay, connections are refused, what was
                     acknowledged is forwarded or left safe on disk for the next start.

Exit codes
  0   All acknowledged spans are forwarded, dropped by a decision, or safe on disk.
  1   A bug: please report the message.
  2   Usage, configuration, or the start was refused; standard error says why.
  3   Acknowledged spans were lost; the balance sheet on standard output says how many.
  70  A worker thread died. A restart recovers from disk.

Environment, stronger than the file and weaker than a flag; an empty variable counts as unset
${environmentLines()}
  SIGNALFX_ACCESS_TOKEN
      Access token of forwarders that have no other.
`;
}

function environmentLines(): string {
  const lines: string[] = [];
  for (const [name, row] of Object.entries<Row>(TOP_LEVEL)) {
    const variables = variablesOf(name, row);
    if (variables.length === 0) continue;
    lines.push(`  ${variables.join(", ")}`, ...wrap(row.doc, "      "));
  }
  return lines.join("\n");
}

function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    if (line !== indent && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  lines.push(line);
  return lines;
}
