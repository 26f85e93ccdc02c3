/**
 * A whole cluster on the real kube-apiserver and controller-manager, its agents with the rights that deploy/fairlead.yaml gives and
 * no others: three nodes on two wires, six pods, kubectl through the relay.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { eventually, Lab } from '../../src/lab/client.ts';
import { FACTS_ANNOTATION } from '../../src/model/cluster/node.ts';
import { agentsReady, becomesConnected, fullyConnected, unharmed } from '../lab/support/expect.ts';
import { Kubectl, kubectls } from './kubectl.ts';

const NODES = ['n1', 'n2', 'n3'] as const;
const MANIFEST = join(import.meta.dirname, '../../deploy/fairlead.yaml');
const AGENT = 'system:serviceaccount:kube-system:fairlead';

interface Rule {
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}
interface Manifest {
  readonly kind: string;
  readonly rules?: readonly Rule[];
}
interface NodeObject {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly podCIDRs?: readonly string[] };
  readonly status: {
    readonly conditions: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
    }[];
  };
}
/** A line of the server's audit log: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/ */
interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource: string; readonly subresource?: string };
  readonly responseStatus?: { readonly code: number };
}

const manifests = parseAllDocuments(readFileSync(MANIFEST, 'utf8')).map((d) => d.toJS() as Manifest);

describe('a cluster on kube-apiserver, agents with the least rights', () => {
  const home = mkdtempSync(join(tmpdir(), 'fairlead-cluster-'));
  let lab: Lab;
  let kubectl: Kubectl;

  before(async () => {
    lab = await Lab.start({ nodes: 3, pods: 2, api: 'real', agents: false });
    const [command = []] = kubectls().values();
    kubectl = new Kubectl(command, lab.kubeconfig, home);
    // Without the DaemonSet: the lab starts the agents itself.
    for (const manifest of manifests)
      if (manifest.kind !== 'DaemonSet') await kubectl.ok('apply -f -', manifest);
    const token = (await kubectl.ok('create token fairlead -n kube-system --duration=1h')).trim();
    for (const node of NODES) {
      giveToken(join(lab.dir, 'nodes', node, 'kubeconfig'), token);
      await lab.fault('agent', node, 'start');
    }
  });
  after(async () => {
    await lab?.close();
    rmSync(home, { recursive: true, force: true });
  });

  test('nodes become Ready, pods run, everything reaches everything in both families', async (t) => {
    const begun = performance.now();
    await lab.settled(30_000);
    await agentsReady(lab);
    t.diagnostic(`Ready ${(performance.now() - begun).toFixed(0)} ms after the agents started`);
    for (const protocol of ['tcp', 'udp', 'icmp'] as const) await fullyConnected(lab, protocol);
    for (const node of NODES) {
      const found = await lab.api.get<NodeObject>(`/api/v1/nodes/${node}`);
      assert.equal(found.spec.podCIDRs?.length, 2, 'from the controller-manager');
      const facts = JSON.parse(found.metadata.annotations?.[FACTS_ANNOTATION] ?? '{}') as {
        accepts?: string[];
      };
      assert.ok((facts.accepts?.length ?? 0) > 0, 'the annotation');
      const condition = found.status.conditions.find((c) => c.type === 'NetworkUnavailable');
      assert.equal(condition?.status, 'False');
      assert.match(condition?.reason ?? '', /Fairlead/);
    }
  });

  test('kubectl through the relay', async () => {
    const text = await kubectl.ok('get nodes,pods -A -o wide');
    assert.match(text, /^ *node\/n1 +Ready .*192\.0\.2\.11/m);
    assert.equal(text.match(/1\/1 +Running/g)?.length, 6, text);
    assert.match(await kubectl.ok('describe node n1'), /NetworkUnavailable +False/);
  });

  test('the transport is switched under load, to vxlan and back: nothing lost', async () => {
    const udp = await lab.stream({ rate: 200 });
    const tcp = await lab.stream({ rate: 100, protocol: 'tcp' });
    for (const [transport, count] of [
      ['vxlan', 6],
      ['auto', 4],
    ] as const) {
      await lab.configure({ transport });
      await eventually(async () => assert.equal(await pairsBy(lab, 'vxlan'), count), 15_000);
    }
    await eventually(async () => assert.ok((await udp.progress()).sent >= 400));
    unharmed(await udp.stop(), 400);
    unharmed(await tcp.stop(), 100);
    await agentsReady(lab);
  });

  test('the API server goes and comes back: nothing lost, what changed meanwhile is learned', async () => {
    const stream = await lab.stream({ rate: 200 });
    await lab.fault('api', 'away', 'n1');
    await lab.addNode({ name: 'n4', pods: 1 });
    giveToken(join(lab.dir, 'nodes/n4/kubeconfig'), tokenIn(join(lab.dir, 'nodes/n1/kubeconfig')));
    await lab.fault('agent', 'n4', 'start');
    await eventually(async () => assert.equal((await lab.agent('n2')).pairs.length, 3), 20_000);
    assert.equal((await lab.agent('n1')).pairs.length, 2, 'n1 cannot know it yet, and keeps what it had');
    await lab.fault('api', 'back', 'n1');
    await lab.settled(30_000);
    await agentsReady(lab, 30_000);
    await becomesConnected(lab);
    await eventually(async () => assert.ok((await stream.progress()).sent >= 200));
    unharmed(await stream.stop(), 200);
  });

  test('a broken setting is told as an Event; mended, the agent is ready again', async () => {
    const told = async () =>
      (await kubectl.ok('get events -A --field-selector=involvedObject.name=n2')).trim();
    await lab.configure({ transport: 'pigeon' }, 'n2');
    await eventually(async () => assert.match(await told(), /Warning.*pigeon/), 15_000);
    await lab.configure({ transport: 'auto' }, 'n2');
    await agentsReady(lab);
  });

  test('no request was forbidden, and no right is given that none needed', () => {
    const events = audited(join(lab.dir, 'audit.log'));
    assert.ok(events.length > 0, 'the server noted nothing');
    const forbidden = events.filter(({ responseStatus }) => [401, 403].includes(responseStatus?.code ?? 0));
    assert.deepEqual(
      forbidden.map((e) => `${e.verb} ${e.requestURI}`),
      [],
    );
    const used = new Set(events.map(right));
    const given = manifests
      .flatMap(({ rules = [] }) => rules)
      .flatMap(({ resources, verbs }) => resources.flatMap((r) => verbs.map((verb) => `${verb} ${r}`)));
    assert.deepEqual(
      [...used].filter((one) => !given.includes(one)),
      [],
    );
    // An Event is patched when it happens again, which nothing here did; what is watched is listed only where a server has no watch lists.
    const spared = (one: string) => one === 'patch events' || used.has(one.replace(/^list /, 'watch '));
    assert.deepEqual(
      given.filter((one) => !used.has(one) && !spared(one)),
      [],
    );
    for (const node of [...NODES, 'n4']) {
      const log = readFileSync(join(lab.dir, 'nodes', node, 'agent.log'), 'utf8');
      assert.doesNotMatch(log, /forbidden/i, node);
    }
  });
});

/** Directed pairs of nodes that use a transport. */
async function pairsBy(lab: Lab, transport: string): Promise<number> {
  const { nodes } = await lab.status();
  return nodes.flatMap((node) => node.agent.pairs).filter((pair) => pair.transport === transport).length;
}

const TOKEN = /^( +token: ).*$/m;

function giveToken(kubeconfig: string, token: string): void {
  const text = readFileSync(kubeconfig, 'utf8');
  assert.match(text, TOKEN);
  writeFileSync(kubeconfig, text.replace(TOKEN, `$1${token}`));
}

const tokenIn = (kubeconfig: string): string =>
  TOKEN.exec(readFileSync(kubeconfig, 'utf8'))?.[0].replace(/^ +token: /, '') ?? '';

/** What the agents asked. Discovery needs no right of ours. */
const audited = (path: string): AuditEvent[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter(({ user }) => user.username === AGENT);

const right = ({ verb, objectRef, requestURI }: AuditEvent): string => {
  if (!objectRef) return `${verb} ${requestURI}`;
  const { resource, subresource } = objectRef;
  return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`;
};
