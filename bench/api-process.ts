/**
 * A child process that holds the API server of a bench, so that its work is not charged to what is measured:
 * `api-process.ts KUBECONFIG CLUSTER ARGS…`. Sends `{ url, token }` when it serves, and for any message the changes since the last one, each with
 * its time; ends with its parent.
 */
import { writeFileSync } from 'node:fs';
import type { JsonObject } from '../src/lab/apiserver/json.ts';
import type { Resource } from '../src/lab/apiserver/resources.ts';
import { startApiServer } from '../src/lab/apiserver/server.ts';
import { nodesAndPods } from './cluster.ts';
import { policyCluster } from './policy-cluster.ts';

/** One write, right before its event goes to the watches; nanoseconds on the machine's monotonic clock. */
export type Written = readonly [plural: string, at: string];

const CLUSTERS: Readonly<Record<string, (...args: number[]) => Iterable<Record<string, unknown>>>> = {
  nodes: nodesAndPods,
  policy: policyCluster,
};

const [kubeconfig = '', cluster = '', ...args] = process.argv.slice(2);
const server = await startApiServer({ tls: true, token: 'bench', history: 100_000 });
const written: Written[] = [];
let uid = 0;

for (const object of CLUSTERS[cluster]?.(...args.map(Number)) ?? []) {
  const metadata = object.metadata as Record<string, unknown>;
  metadata.uid = `00000000-0000-4000-8000-${String(++uid).padStart(12, '0')}`;
  metadata.creationTimestamp = '2026-01-01T00:00:00Z';
  server.store.put(resourceOf(object), object as JsonObject);
}
for (const r of server.resources.all())
  server.store.subscribe(r.storage, () => written.push([r.plural, String(process.hrtime.bigint())]));

writeFileSync(kubeconfig, server.kubeconfig(), { mode: 0o600 });
process.on('message', () => process.send?.(written.splice(0)));
process.once('disconnect', () => process.exit());
process.send?.({ url: server.url, token: server.token });

function resourceOf(object: Record<string, unknown>): Resource {
  const found = server.resources.all().find((r) => r.kind === object.kind && !r.virtual);
  if (!found) throw new Error(`the API server does not serve ${object.kind}`);
  return found;
}
