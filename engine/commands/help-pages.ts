// The help of each command.

const ADMIN_LINES = `\
  --admin HOST:PORT  The gateway's admin address. Default: AdminAddress of --configfile, else
                     the variable TAILRACE_ADMIN_ADDRESS, else 127.0.0.1:9464.
  --configfile FILE  Take AdminAddress from this configuration file (YAML or JSON).
  --json             Print what the gateway answered, for programs.
  --help, -h         Print this.`;

const PAGES: Readonly<Record<string, string>> = {
  check: `Usage: tailrace check [FILE]

Reads a configuration as a start would and reports everything wrong with it at once: where it
stands, what is allowed, what was probably meant. Stricter than a start: unknown keys, and keys of
the SignalFx gateway that do nothing here, are errors; a start only warns of them. Variables
(TAILRACE_...) count as at a start. Files ending in .yaml or .yml are YAML, others JSON with
comments. No port is opened, nothing is written, no backend is called. TLS files are read.

  FILE               The file; the same as --configfile. Without one: sf/gateway.conf where it
                     exists, else the embedded defaults.
  --configfile FILE  As for a start: looked up in the XDG directories, then here.
  --cluster-op OP    As for a start: seed, join or client.
  --json             Print {ok, file, errors, warnings}; an entry has path, line, column, message.
  --help, -h         Print this.

Exit codes
  0  The gateway would start with it; there may be warnings.
  2  There are errors, or the arguments are wrong.

Examples
  tailrace check gateway.yaml
  tailrace check --json gateway.conf | jq -r '.errors[].message'
`,
  explain: `Usage: tailrace explain [--admin HOST:PORT] TRACE

Asks a running gateway what it knows of a trace: what was seen, when and why it was judged, and
how every policy voted. Decisions are known in full for a minute, then without their reasons.

  TRACE              The trace id: 32 or 16 hex digits, in any case, with or without dashes; a
                     traceparent header works as well.
${ADMIN_LINES}

Exit codes
  0  The trace is known.
  1  No gateway answers there.
  2  The arguments are wrong.
  4  The gateway knows nothing of the trace.

Examples
  tailrace explain 4bf92f3577b34da6a3ce929d0e0e4736
  tailrace explain --json 4bf92f3577b34da6 | jq '.decisions[].policy'
`,
  status: `Usage: tailrace status [--admin HOST:PORT] [--watch]

Shows how a running gateway does: whether it is ready, what comes in, the load of its lanes, the
storage it uses, and for each forwarder what was kept, dropped, delivered and lost. Of a node in a
cluster also its members as this node sees them: shards, leases, connections, what waits for them.

  --watch            Draw it again every 2 seconds, on a terminal, with rates of that time.
${ADMIN_LINES}

Exit codes
  0  The gateway is ready.
  1  The gateway is not ready, or none answers there.
  2  The arguments are wrong.

Examples
  tailrace status
  tailrace status --json | jq '.balance.forwarders[] | {forwarder, kept, dropped}'
  tailrace status --json | jq '.cluster.members[] | {name, shards, linked}'
`,
};

/** The page of a command that exists. */
export function helpPage(name: string): string {
  const page = PAGES[name];
  if (page === undefined) throw new Error(`the command ${name} has no page`);
  return page;
}
