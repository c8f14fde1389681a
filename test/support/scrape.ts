/** One line of a metrics page. */
interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metrics page, read once: every question to it is about the same moment. */
export class Scrape {
  readonly #samples: readonly Sample[];

  constructor(page: string) {
    this.#samples = page.split("\n").flatMap((line) => {
      const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (found === null) return [];
      const [, name = "", labels = "", value = ""] = found;
      return [{ name, labels: readLabels(labels), value: Number(value) }];
    });
  }

  /** Samples of a metric whose labels contain every given pair. */
  samples(name: string, labels: Readonly<Record<string, string>> = {}): readonly Sample[] {
    const wanted = Object.entries(labels);
    return this.#samples.filter((sample) =>
      sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value));
  }

  /** Their sum; 0 when there are none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.samples(name, labels).reduce((sum, { value }) => sum + value, 0);
  }
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, key = "", value = ""] of text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
    labels[key] = value;
  }
  return labels;
}
