// A strict reader of the Prometheus text format, for tests: anything it cannot read fails the test.

export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: ParsedSample[];
}

/** Families by name. Throws on unknown lines, repeated families or samples, and stray samples. */
export function parseExposition(text: string): Map<string, ParsedFamily> {
  const families = new Map<string, ParsedFamily>();
  const seen = new Set<string>();
  let help: { name: string; text: string } | undefined;
  let family: ParsedFamily | undefined;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const helped = /^# HELP ([a-z0-9_]+) (.+)$/.exec(line);
    if (helped !== null) {
      help = { name: helped[1] ?? "", text: helped[2] ?? "" };
      continue;
    }
    const typed = /^# TYPE ([a-z0-9_]+) (counter|gauge|histogram)$/.exec(line);
    if (typed !== null) {
      const name = typed[1] ?? "";
      if (help?.name !== name) throw new Error(`TYPE without HELP: ${line}`);
      if (families.has(name)) throw new Error(`family twice: ${name}`);
      family = { name, type: typed[2] ?? "", help: help.text, samples: [] };
      families.set(name, family);
      continue;
    }
    const sample = parseSample(line);
    if (family === undefined || !belongs(sample.name, family)) throw new Error(`stray: ${line}`);
    const key = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`;
    if (seen.has(key)) throw new Error(`sample twice: ${line}`);
    seen.add(key);
    family.samples.push(sample);
  }
  return families;
}

function belongs(name: string, family: ParsedFamily): boolean {
  if (family.type !== "histogram") return name === family.name;
  return ["_bucket", "_sum", "_count"].some((suffix) => name === family.name + suffix);
}

function parseSample(line: string): ParsedSample {
  const matched = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
  if (matched === null) throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  let rest = matched[2] ?? "";
  while (rest !== "") {
    const label = /^([a-z]+)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.exec(rest);
    if (label === null) throw new Error(`not a label: ${rest}`);
    labels[label[1] ?? ""] = (label[2] ?? "").replace(/\\(["\\n])/g, (_, character: string) =>
      character === "n" ? "\n" : character);
    rest = rest.slice(label[0].length);
  }
  const value = Number(matched[3]);
  if (Number.isNaN(value) && matched[3] !== "Nan") throw new Error(`not a number: ${line}`);
  return { name: matched[1] ?? "", labels, value };
}

/** Value of the one sample with exactly these labels. */
export function valueOf(
  families: Map<string, ParsedFamily>, family: string, labels: Record<string, string> = {},
  name = family,
): number | undefined {
  const wanted = JSON.stringify(Object.entries(labels).sort());
  return families.get(family)?.samples.find((sample) =>
    sample.name === name && JSON.stringify(Object.entries(sample.labels).sort()) === wanted)?.value;
}
