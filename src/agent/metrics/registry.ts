type Labels = Readonly<Record<string, string>>;

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  samples(): Iterable<readonly [suffix: string, labels: Labels, value: number]>;
}

/** Metrics in the text format of Prometheus, version 0.0.4. */
export class Registry {
  readonly #metrics: Metric[] = [];
  readonly #beforeScrape: (() => void)[] = [];

  counter(name: string, help: string): Series {
    return this.#add(new Series(name, help, 'counter'));
  }

  gauge(name: string, help: string): Series {
    return this.#add(new Series(name, help, 'gauge'));
  }

  /** `buckets` are upper bounds, ascending, without +Inf. */
  histogram(name: string, help: string, buckets: readonly number[]): Histogram {
    return this.#add(new Histogram(name, help, buckets));
  }

  /** Called before each scrape: where gauges are read from what they show. */
  beforeScrape(update: () => void): void {
    this.#beforeScrape.push(update);
  }

  text(): string {
    for (const update of this.#beforeScrape) update();
    const lines: string[] = [];
    for (const metric of this.#metrics) {
      lines.push(
        `# HELP ${metric.name} ${metric.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
        `# TYPE ${metric.name} ${metric.type}`,
      );
      for (const [suffix, labels, value] of metric.samples()) {
        lines.push(`${metric.name}${suffix}${labelText(labels)} ${numberText(value)}`);
      }
    }
    return `${lines.join('\n')}\n`;
  }

  #add<M extends Metric>(metric: M): M {
    this.#metrics.push(metric);
    return metric;
  }
}

/** A counter or a gauge: one number for each combination of labels. */
export class Series implements Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly #values = new Map<string, { labels: Labels; value: number }>();

  constructor(name: string, help: string, type: 'counter' | 'gauge') {
    this.name = name;
    this.help = help;
    this.type = type;
  }

  set(value: number, labels: Labels = {}): void {
    this.#values.set(labelText(labels), { labels, value });
  }

  add(amount: number, labels: Labels = {}): void {
    const entry = this.#values.get(labelText(labels));
    if (entry) entry.value += amount;
    else this.set(amount, labels);
  }

  /** Forgets all combinations: for gauges whose labels come and go. */
  clear(): void {
    this.#values.clear();
  }

  *samples(): Iterable<readonly [string, Labels, number]> {
    for (const { labels, value } of this.#values.values()) yield ['', labels, value];
  }
}

interface Counts {
  readonly labels: Labels;
  readonly buckets: number[];
  sum: number;
  count: number;
}

export class Histogram implements Metric {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly #bounds: readonly number[];
  readonly #counts = new Map<string, Counts>();

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
  }

  observe(value: number, labels: Labels = {}): void {
    const key = labelText(labels);
    let counts = this.#counts.get(key);
    if (!counts) {
      counts = { labels, buckets: this.#bounds.map(() => 0), sum: 0, count: 0 };
      this.#counts.set(key, counts);
    }
    counts.sum += value;
    counts.count++;
    const index = this.#bounds.findIndex((bound) => value <= bound);
    if (index >= 0) counts.buckets[index] = (counts.buckets[index] ?? 0) + 1;
  }

  *samples(): Iterable<readonly [string, Labels, number]> {
    for (const { labels, buckets, sum, count } of this.#counts.values()) {
      let total = 0;
      for (const [i, bound] of this.#bounds.entries()) {
        total += buckets[i] ?? 0;
        yield ['_bucket', { ...labels, le: numberText(bound) }, total];
      }
      yield ['_bucket', { ...labels, le: '+Inf' }, count];
      yield ['_sum', labels, sum];
      yield ['_count', labels, count];
    }
  }
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

const escapeLabel = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}
