/** A new pod gets the address that another has just left: it is reached at once, by those who knew the other one too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { agentsReady } from './support/expect.ts';

const LEASES = '/var/lib/cni/networks/fairlead';
/** Its node, a neighbour on the bridge, and a pod of another node. */
const ASKING = ['n1', 'default/n1-a', 'default/n2-a'];
/** One lost SYN costs a second; an entry of the former owner lasts eight to fifty. */
const AT_ONCE_MS = 900;

const CASES = [
  ['bridge', { cni: { plugin: 'bridge' } }],
  ['ptp', { cni: { plugin: 'ptp' } }],
  ['bridge, without policies', { policy: { enabled: false } }],
] as const;

for (const [name, config] of CASES) {
  test(`an address that changes hands: ${name}`, async () => {
    await using lab = await Lab.start({ nodes: 2, pods: 1, config });
    await agentsReady(lab);
    const former = await born(lab, 'former');
    await reached(lab, former);
    await lab.removePod('former');
    await free(lab, former);
    const heir = await born(lab, 'heir');
    assert.deepEqual(heir, former, 'the same addresses');
    await reached(lab, heir);
  });
}

async function born(lab: Lab, name: string): Promise<readonly string[]> {
  await lab.addPod(name, 'n1');
  await lab.settled();
  const { pods } = await lab.status();
  const ips = pods.find((pod) => pod.name === `default/${name}`)?.ips ?? [];
  assert.equal(ips.length, 2);
  return ips;
}

async function reached(lab: Lab, ips: readonly string[]): Promise<void> {
  const results = await lab.ask(
    ips.flatMap((to) =>
      ASKING.map((from) => ({
        from,
        to,
        family: to.includes(':') ? ('ipv6' as const) : ('ipv4' as const),
        protocol: 'tcp' as const,
        port: 8080,
        timeout: AT_ONCE_MS,
      })),
    ),
  );
  const missed = results.filter(({ verdict }) => verdict !== 'allowed');
  assert.deepEqual(
    missed.map(({ from, to, reason }) => `${from} → ${to}: ${reason}`),
    [],
  );
}

/** Resolves when host-local has these addresses back and begins again with the lowest that is free. */
async function free(lab: Lab, ips: readonly string[]): Promise<void> {
  await eventually(async () => {
    const taken = (await lab.run('n1', 'ls', LEASES)).split('\n');
    assert.deepEqual(
      ips.filter((ip) => taken.includes(ip)),
      [],
    );
  });
  await lab.run('n1', 'sh', '-c', `rm -f ${LEASES}/last_reserved_ip.*`);
}
