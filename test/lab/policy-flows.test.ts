/**
 * Connections that are under way when policies change. Servers send without end and clients say nothing, so that a connection which is only
 * forgotten would come back from its server's side. One client is on the server's own node, one on another.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { type Count, NEIGHBOUR, VICTIM } from './support/downloads.ts';
import { agentsReady } from './support/expect.ts';

const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const PROGRAM = join(import.meta.dirname, 'support/downloads.ts');
const SERVER = 'n1-a';
const SAME_NODE = 'n1-b';
const OTHER_NODE = 'n2-a';
const CLIENTS = [SAME_NODE, OTHER_NODE];

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const neighbourOnly = [{ ports: [{ port: NEIGHBOUR }, { port: NEIGHBOUR, protocol: 'UDP' }] }];
/** Lets only the neighbours' port in at the server, or out at a client. */
const policy = (name: string, pod: string, direction: 'Ingress' | 'Egress') => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name },
  spec: {
    podSelector: { matchLabels: { pod } },
    policyTypes: [direction],
    [direction.toLowerCase()]: neighbourOnly,
  },
});

class Downloads {
  readonly #lab: Lab;
  constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** Of one client, or of all, by client, protocol, address and port. */
  counts(port: number, ...clients: readonly string[]): Map<string, Count> {
    const counts = new Map<string, Count>();
    for (const client of clients) {
      const text = readFileSync(join(this.#lab.dir, `${client}.json`), 'utf8');
      for (const [what, count] of Object.entries(JSON.parse(text) as Record<string, Count>))
        if (what.endsWith(` ${port}`)) counts.set(`${client} ${what}`, count);
    }
    return counts;
  }

  /** Each one goes on, from where it is now. */
  async flow(port: number, ...clients: readonly string[]): Promise<void> {
    const before = this.counts(port, ...clients);
    await eventually(() => {
      for (const [what, { arrived }] of this.counts(port, ...clients))
        assert.ok(arrived > (before.get(what)?.arrived ?? 0) + 5, `${what} stands at ${arrived}`);
    }, 30_000);
  }

  /** Each one stops soon, and not a byte comes for seconds after that. */
  async end(port: number, ...clients: readonly string[]): Promise<void> {
    const arrived = () =>
      [...this.counts(port, ...clients)].map(([what, count]) => `${what} ${count.arrived}`).join('\n');
    await eventually(async () => {
      const before = arrived();
      await wait(200);
      assert.equal(arrived(), before);
    });
    const before = arrived();
    await wait(2_500);
    assert.equal(arrived(), before, 'they stay ended');
  }
}

async function downloads(): Promise<{ lab: Lab; flows: Downloads }> {
  const lab = await Lab.start({ nodes: 2, pods: 2 });
  await agentsReady(lab);
  for (const pod of [SERVER, ...CLIENTS])
    await lab.api.patch(`/api/v1/namespaces/default/pods/${pod}`, { metadata: { labels: { pod } } });
  const { status } = await lab.api.get<{ status: { podIPs: { ip: string }[] } }>(
    `/api/v1/namespaces/default/pods/${SERVER}`,
  );
  const addresses = status.podIPs.map(({ ip }) => ip);
  assert.equal(addresses.length, 2, 'both families');
  void lab.exec(`default/${SERVER}`, process.execPath, PROGRAM, 'serve');
  await eventually(() => lab.run(`default/${SERVER}`, 'sh', '-c', `ss -lntu | grep -q :${NEIGHBOUR}`));
  for (const client of CLIENTS)
    void lab.exec(
      `default/${client}`,
      ...[process.execPath, PROGRAM, 'fetch', join(lab.dir, `${client}.json`), ...addresses],
    );
  const flows = new Downloads(lab);
  await eventually(() => flows.counts(VICTIM, ...CLIENTS));
  for (const port of [VICTIM, NEIGHBOUR]) await flows.flow(port, ...CLIENTS);
  return { lab, flows };
}

const apply = (lab: Lab, ...args: Parameters<typeof policy>) => lab.api.create(POLICIES, policy(...args));
const remove = (lab: Lab, name: string) => lab.api.delete(`${POLICIES}/${name}`);

test('what a change denies ends and stays ended, what it lets through again goes on, and neighbours lose nothing', async () => {
  const { lab, flows } = await downloads();
  await using _ = lab;

  await apply(lab, 'server', SERVER, 'Ingress');
  await flows.end(VICTIM, ...CLIENTS);
  assert.match(
    await lab.run('n1', 'nft', 'list', 'set', 'inet', 'fairlead', 'ended-v4'),
    new RegExp(`tcp \\. \\S+ \\. ${VICTIM}`),
  );
  assert.doesNotMatch(await lab.run('n1', 'conntrack', '-L'), new RegExp(`port=${VICTIM}\\b`));

  await remove(lab, 'server');
  await flows.flow(VICTIM, ...CLIENTS);

  await apply(lab, 'client', OTHER_NODE, 'Egress');
  await flows.end(VICTIM, OTHER_NODE);
  await flows.flow(VICTIM, SAME_NODE);

  await flows.flow(NEIGHBOUR, ...CLIENTS);
  for (const [what, { gaps }] of flows.counts(NEIGHBOUR, ...CLIENTS)) assert.equal(gaps, 0, what);
});

test('with policy.established: keep, what is under way goes on, and what is new is denied', async () => {
  const { lab, flows } = await downloads();
  await using _ = lab;
  await lab.set({ 'policy.established': 'keep' });
  await eventually(() => {
    for (const node of ['n1', 'n2'])
      assert.match(
        readFileSync(join(lab.dir, 'nodes', node, 'agent.log'), 'utf8'),
        /"policy.established":"keep"/,
      );
  });
  await apply(lab, 'server', SERVER, 'Ingress');
  const ask = () => lab.probe(`default/${OTHER_NODE}`, `default/${SERVER}`, { port: VICTIM, timeout: 200 });
  await eventually(async () => assert.equal((await ask()).verdict, 'dropped'));
  await wait(1_000);
  await flows.flow(VICTIM, ...CLIENTS);

  await lab.set({ 'policy.established': 'recheck' });
  await flows.end(VICTIM, ...CLIENTS);
  await flows.flow(NEIGHBOUR, ...CLIENTS);
});

test('connections of a pod that is gone go with it', async () => {
  const { lab, flows } = await downloads();
  await using _ = lab;
  const [entry = ''] = [...flows.counts(NEIGHBOUR, OTHER_NODE).keys()];
  const address = entry.split(' ')[2] ?? '';
  const entries = () => lab.run('n1', 'conntrack', '-L', '-r', address);
  assert.match(await entries(), /port=/);
  await lab.removePod(SERVER);
  await eventually(async () => assert.doesNotMatch(await entries(), /port=70/));
});
