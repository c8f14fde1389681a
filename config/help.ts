// What --help prints: enough to run the gateway without any other page.

import { variablesOf } from "./environment.ts";
import type { Row } from "./setting-row.ts";
import { TOP_LEVEL } from "./settings.ts";

/** Lines of the help are no longer than this. */
const WIDTH = 96;

/** The flags alone, for standard error after a wrong one. */
export function usageText(): string {
  return `Usage: tailrace [--configfile FILE] [--cluster-op OP]    run the gateway
       tailrace check [FILE]       everything wrong with a configuration, at once
       tailrace explain TRACE      why a trace was kept or dropped
       tailrace status             how a running gateway does
       tailrace COMMAND --help     more of each

  --configfile FILE  Configuration file. A relative name is looked up in $XDG_CONFIG_HOME (or
                     ~/.config) and $XDG_CONFIG_DIRS (or /etc/xdg), then in the working directory.
                     Without the flag: sf/gateway.conf where it exists, else the defaults below.
                     A name ending in .yaml or .yml is YAML, any other JSON with comments.
  --cluster-op OP    How this node takes part in a cluster: seed begins one, join (also its next
                     starts) becomes a member, client only connects. "" runs a single node, whatever
                     ClusterOperation says.
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
  config/examples/gateway.conf and gateway.yaml are files to start from, cluster.yaml is one for
  the nodes of a cluster, and config/REFERENCE.md lists every setting.

Signals
  SIGTERM, SIGINT    Stop: health checks fail for DrainDelay, connections are refused, what was
                     acknowledged is forwarded or left safe on disk for the next start.

Exit codes of the gateway; those of a command are in its own help
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
