import assert from 'node:assert/strict';
import type { Lab } from '../../../src/lab/client.ts';
import { eventually } from '../../../src/lab/client.ts';
import type { ProbeResult, StreamResult } from '../../../src/lab/prober/types.ts';

/** Every pod reaches every other, both ways, each family, and is seen under its own address. */
export async function fullyConnected(lab: Lab, protocol: 'tcp' | 'udp' | 'icmp' = 'tcp'): Promise<void> {
  const { pods } = await lab.status();
  const own = new Map(pods.map((pod) => [pod.name, pod.ips]));
  const results = await lab.matrix(protocol);
  assert.ok(results.length > 0, 'no pairs to probe');
  assert.deepEqual(results.filter((r) => r.verdict !== 'allowed').map(line), []);
  if (protocol === 'icmp') return;
  assert.deepEqual(
    results.filter((r) => !own.get(r.from)?.includes(r.source)).map(line),
    [],
    'foreign source',
  );
}

export const line = (r: ProbeResult): string =>
  `${r.from} → ${r.to} ${r.family} ${r.protocol}/${r.port}: ${r.verdict} ${r.source}${r.reason ?? ''}`;

/** Like `fullyConnected`, as soon as it holds. */
export const becomesConnected = (lab: Lab, timeout = 10_000): Promise<void> =>
  eventually(() => fullyConnected(lab), timeout);

/** Nothing lost, nothing seen under another's address, no connection broken. */
export function unharmed(result: StreamResult, atLeast: number): void {
  assert.ok(result.sent >= atLeast, `only ${result.sent} probes were sent, ${atLeast} were meant`);
  assert.deepEqual(result.losses, []);
  assert.deepEqual(
    { lost: result.lost, broken: result.broken, foreign: result.foreignSources },
    { lost: 0, broken: 0, foreign: [] },
  );
}

/** All agents say `ready`: converged, no failed row, every source there. */
export async function agentsReady(lab: Lab, timeout = 15_000): Promise<void> {
  await eventually(async () => {
    const { nodes } = await lab.status();
    assert.deepEqual(
      nodes.filter((node) => node.agent.state !== 'ready').map((n) => `${n.name}: ${n.agent.state}`),
      [],
    );
  }, timeout);
}
