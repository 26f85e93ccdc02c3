/**
 * A child process that holds the API server of a bench, so that its work is not charged to what is measured:
 * `api-process.ts NODES PODS KUBECONFIG`. Sends `{ url, token }` when it serves, and for any message the times of Nodes' creations; ends with
 * its parent.
 */
import { writeFileSync } from 'node:fs';
import type { JsonObject } from '../src/lab/apiserver/json.ts';
import type { Resource } from '../src/lab/apiserver/resources.ts';
import { startApiServer } from '../src/lab/apiserver/server.ts';
import { nodeObject, podObject } from './cluster.ts';

const [nodes = '0', pods = '0', kubeconfig = ''] = process.argv.slice(2);
const server = await startApiServer({ tls: true, token: 'bench', history: 100_000 });
const loaded = { uid: 0 };

function load(plural: string, object: Record<string, unknown>): void {
  const metadata = object.metadata as Record<string, unknown>;
  metadata.uid = `00000000-0000-4000-8000-${String(++loaded.uid).padStart(12, '0')}`;
  metadata.creationTimestamp = '2026-01-01T00:00:00Z';
  server.store.put(resource(plural), object as JsonObject);
}

function resource(plural: string): Resource {
  const found = server.resources.get('v1', plural);
  if (!found) throw new Error(`the API server does not serve ${plural}`);
  return found;
}

for (let i = 0; i < Number(nodes); i++) load('nodes', nodeObject({ index: i }));
for (let i = 0; i < Number(pods); i++) load('pods', podObject(i, Number(nodes)));
writeFileSync(kubeconfig, server.kubeconfig(), { mode: 0o600 });
/** When each new Node was stored, right before its event is written to the watches; nanoseconds on the machine's monotonic clock. */
const created: string[] = [];
server.store.subscribe('nodes', ({ before, after }) => {
  if (after && !before) created.push(String(process.hrtime.bigint()));
});
process.on('message', () => process.send?.(created.splice(0)));
process.send?.({ url: server.url, token: server.token });
process.once('disconnect', () => process.exit());
