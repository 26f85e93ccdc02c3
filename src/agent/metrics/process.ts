import { readdirSync, readFileSync } from 'node:fs';
import type { Registry } from './registry.ts';

/** What the process costs, under the names that every Prometheus client library uses. */
export function processMetrics(registry: Registry, started: number): void {
  const memory = registry.gauge('process_resident_memory_bytes', 'Resident memory.');
  const cpu = registry.counter('process_cpu_seconds_total', 'User and system CPU time.');
  const descriptors = registry.gauge('process_open_fds', 'Open file descriptors.');
  const most = registry.gauge('process_max_fds', 'Limit of open file descriptors.');
  const heap = registry.gauge('nodejs_heap_size_used_bytes', 'Used memory of the JavaScript heap.');
  registry
    .gauge('process_start_time_seconds', 'Start of the process, seconds since the epoch.')
    .set(started / 1000);
  const limit = descriptorLimit();
  if (limit !== undefined) most.set(limit);
  registry.beforeScrape(() => {
    const usage = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    memory.set(usage.rss);
    heap.set(usage.heapUsed);
    cpu.set((user + system) / 1e6);
    descriptors.set(readdirSync('/proc/self/fd').length - 1);
  });
}

function descriptorLimit(): number | undefined {
  try {
    const match = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return match ? Number(match[1]) : undefined;
  } catch {
    return undefined;
  }
}
