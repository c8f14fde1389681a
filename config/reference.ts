// REFERENCE.md from the table: every object of the configuration file with its keys.

import { formatDuration } from "./durations.ts";
import { variablesOf } from "./environment.ts";
import {
  ORIGINAL_FORWARDER, ORIGINAL_LISTENER, ORIGINAL_TOP_LEVEL, ORIGINAL_TRACE_SAMPLE,
} from "./original-keys.ts";
import type { Row, Rows } from "./setting-row.ts";
import { DEFAULT_POLICIES, SECTIONS, TOP_LEVEL } from "./settings.ts";
import { describeAllowed } from "./values.ts";

/** The whole page, ending with a line end. */
export function referenceText(): string {
  return [
    INTRODUCTION,
    ...SECTIONS.map(({ path, title, rows }) => sectionText(path, title, rows)),
    defaultPoliciesText(), variablesText(), originalKeysText(),
  ].join("\n");
}

const INTRODUCTION = `# Configuration reference

Generated from \`config/settings.ts\` by \`scripts/write-config-docs.ts\`; change it there.

The file is one JSON object, comments allowed, or the same in YAML 1.2 when its name ends in
\`.yaml\` or \`.yml\`. Keys are the same in upper and lower case. A key that is absent or \`null\`
has its default. Durations are strings as in Go: \`"300ms"\`, \`"30s"\`, \`"1h30m"\`. Sizes are
bytes, or strings such as \`"20MiB"\` (\`"20MB"\` is decimal). Relative paths are seen from the
working directory. A flag is stronger than the environment, the environment than the file. Nothing
is read again while the gateway runs. Every problem is reported at once, and the exit code is 2.
Unknown keys only warn at a start; \`tailrace check\` takes them for errors.
`;

function sectionText(path: string, title: string, rows: Rows): string {
  const heading = `Keys of ${title}${path === "" ? "" : `: \`${path}\``}`;
  const lines = [`## ${heading}`, "", "| Key | Value | Default | |", "| --- | --- | --- | --- |"];
  for (const [name, row] of Object.entries(rows)) {
    lines.push(`| \`${name}\` | ${describeAllowed(row)} | ${defaultText(row)} | ${row.doc} |`);
  }
  return lines.concat("").join("\n");
}

function defaultText(row: Row): string {
  if (row.defaultDoc !== undefined) return row.defaultDoc;
  if (row.kind === "structure") return "";
  if (row.kind === "duration" && typeof row.default === "number") {
    return `\`"${formatDuration(row.default)}"\``;
  }
  return `\`${JSON.stringify(row.default)}\``;
}

function defaultPoliciesText(): string {
  const policies = DEFAULT_POLICIES.map((policy) => `  ${JSON.stringify(policy)}`).join(",\n");
  return `## Default policies\n\n\`\`\`json\n[\n${policies}\n]\n\`\`\`\n`;
}

function variablesText(): string {
  const lines = [
    "## Environment variables", "",
    "An empty variable counts as unset. Where there are two, the first wins.", "",
    "| Variable | Sets |", "| --- | --- |",
  ];
  for (const [name, row] of Object.entries<Row>(TOP_LEVEL)) {
    const variables = variablesOf(name, row).map((variable) => `\`${variable}\``);
    if (variables.length > 0) lines.push(`| ${variables.join(", ")} | \`${name}\` |`);
  }
  lines.push(
    "| the name in `AuthTokenEnvVar` | the access token of that forwarder |",
    "| `SIGNALFX_ACCESS_TOKEN` | the access token of forwarders that have no other |", "",
  );
  return lines.join("\n");
}

const KINDS = {
  quiet: { start: "taken", check: "taken" },
  deprecated: { start: "warning", check: "warning" },
  without_effect: { start: "warning", check: "error" },
  refused: { start: "refused", check: "error" },
} as const;

function originalKeysText(): string {
  const lines = [
    "## Keys of the SignalFx gateway without effect", "",
    "Files of the original load as far as their types exist here. These keys are taken and do "
      + "nothing, but for those marked as refused: to ignore what they hold would do harm. Where "
      + "the value is empty nothing is said.", "",
    "| Key | At a start | In `tailrace check` | |", "| --- | --- | --- | --- |",
  ];
  const all = [
    ["", ORIGINAL_TOP_LEVEL], ["ListenFrom[].", ORIGINAL_LISTENER],
    ["ForwardTo[].", ORIGINAL_FORWARDER], ["ForwardTo[].TraceSample.", ORIGINAL_TRACE_SAMPLE],
  ] as const;
  for (const [prefix, keys] of all) {
    for (const { name, kind, warning } of keys) {
      const { start, check } = KINDS[kind];
      lines.push(`| \`${prefix}${name}\` | ${start} | ${check} | ${warning ?? ""} |`);
    }
  }
  return lines.concat("").join("\n");
}
