import assert from 'node:assert/strict';
import { it } from 'node:test';
import { processMetrics } from './process.ts';
import { Registry } from './registry.ts';

it('writes the Prometheus text format', () => {
  const registry = new Registry();
  const counter = registry.counter('a_total', 'Help with \\ and\nline.');
  counter.add(1);
  counter.add(2);
  registry.gauge('b', 'B.').set(1.5, { name: 'quote " back \\ line \n' });
  const histogram = registry.histogram('c_seconds', 'C.', [0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value, { target: 'route' });
  assert.equal(
    registry.text(),
    `# HELP a_total Help with \\\\ and\\nline.
# TYPE a_total counter
a_total 3
# HELP b B.
# TYPE b gauge
b{name="quote \\" back \\\\ line \\n"} 1.5
# HELP c_seconds C.
# TYPE c_seconds histogram
c_seconds_bucket{target="route",le="0.1"} 2
c_seconds_bucket{target="route",le="1"} 3
c_seconds_bucket{target="route",le="+Inf"} 4
c_seconds_sum{target="route"} 7.65
c_seconds_count{target="route"} 4
`,
  );
});

it('reads gauges when it is scraped', () => {
  const registry = new Registry();
  const gauge = registry.gauge('now', 'N.');
  let value = 1;
  registry.beforeScrape(() => gauge.set(value));
  assert.match(registry.text(), /^now 1$/m);
  value = 2;
  assert.match(registry.text(), /^now 2$/m);
});

it('shows what the process costs', () => {
  const registry = new Registry();
  processMetrics(registry, 5_000);
  const text = registry.text();
  for (const name of [
    'process_resident_memory_bytes',
    'process_cpu_seconds_total',
    'process_open_fds',
    'process_max_fds',
  ]) {
    const value = Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    assert.ok(value > 0, `${name} is ${value}`);
  }
  assert.match(text, /^process_start_time_seconds 5$/m);
});
