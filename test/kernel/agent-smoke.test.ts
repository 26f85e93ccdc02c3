/**
 * The shipped bundle on a real kernel against an API server: n1 is this machine, n2 is on its link, n3 behind a router.
 *
 * ```
 *   192.0.2.1 n1 ──eth0── 192.0.2.2 n2      layer2
 *              └── default via 192.0.2.254 ── 198.51.100.3 n3      vxlan
 * ```
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import { Deadline } from '../../src/lab/deadline.ts';
import type { DriftRecord, PlannedChange, Status, Why } from '../../src/model/api.ts';
import { until } from '../support/until.ts';
import { Machine, run, TOKEN, underlay } from './agent-machine.ts';

let machine: Machine;
before(() => {
  underlay();
  run('ip route add default via 192.0.2.254');
  run('ip -6 route add default via 2001:db8:1::fe');
});
beforeEach(async () => {
  machine = await Machine.start();
  await machine.addNode('n1', ['192.0.2.1', '2001:db8:1::1']);
  await machine.addNode('n2', ['192.0.2.2', '2001:db8:1::2']);
  await machine.addNode('n3', ['198.51.100.3', '2001:db8:3::3']);
});
afterEach(() => machine.close());

/** Ready, and every row is as wanted: a new row does not make the agent less ready. */
const ready = (status: Status) =>
  status.state === 'ready' && status.targets.every((t) => t.done === t.wanted && t.extra === 0);
const dump = () =>
  ['ip -o link', 'ip -o addr', 'ip route show table all', 'ip -6 route show table all', 'nft list ruleset']
    .map((command) => run(command))
    .join('\n')
    .replace(/expires \d+sec/g, '');

describe('the agent', () => {
  it('makes routes by both transports in both families, tells of itself, and cleanup takes all away', async () => {
    const sysctls = () =>
      ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'].map((p) => readFileSync(`/proc/sys/net/${p}`, 'utf8'));
    const [before, sysctlsBefore] = [dump(), sysctls()];
    machine.agent();
    const status = await machine.status('ready', ready);
    assert.deepEqual(status.problems, []);
    assert.deepEqual(
      status.pairs.map((pair) => [pair.node, pair.transport]),
      [
        ['n2', 'layer2'],
        ['n3', 'vxlan'],
      ],
    );
    assert.equal(status.podMtu, 1450);
    assert.match(run('ip route show proto 201'), /^10\.244\.\d+\.0\/24 via 192\.0\.2\.2 dev eth0 $/m);
    assert.match(
      run('ip route show proto 201'),
      /^10\.244\.\d+\.0\/24 nhid \d+ via inet6 fe80::\S+ dev fl-vxlan onlink/m,
    );
    assert.match(run('ip -6 route show proto 201'), /dev fl-vxlan/);
    assert.deepEqual(readdirSync(machine.cni), ['05-fairlead.conflist']);
    assert.match(run('nft list table inet fairlead'), /masquerade/);

    await cliShowsIt();

    const busy = await machine.cli(
      'cleanup',
      '--yes',
      '--state-dir',
      machine.state,
      '--cni-conf-dir',
      machine.cni,
    );
    assert.equal(busy.code, 1);
    assert.match(busy.text, /an agent is running .*stop it first/);

    const kept = dump();
    await machine.stop();
    assert.equal(dump(), kept, 'SIGTERM leaves the data plane');
    const done = await machine.cli(
      'cleanup',
      '--yes',
      '-o',
      'json',
      '--state-dir',
      machine.state,
      '--cni-conf-dir',
      machine.cni,
    );
    assert.equal(done.code, 0, done.text);
    assert.equal(dump(), before, 'the machine as it was before');
    assert.deepEqual(sysctls(), sysctlsBefore);
    assert.deepEqual(readdirSync(machine.cni), []);
  });

  async function cliShowsIt(): Promise<void> {
    const socket = ['--state-dir', machine.state];
    const text = await machine.cli('status', ...socket);
    assert.equal(text.code, 0, text.text);
    assert.match(text.text, /^Node n1: ready, agent .* pod MTU 1450$/m);
    assert.match(text.text, /^3 +route +4 +4 +0 +0 +0$/m);
    assert.match(text.text, /^n3 +vxlan +\S/m);
    const plan = await machine.cli('plan', ...socket, '-o', 'json');
    assert.deepEqual([plan.code, JSON.parse(plan.text)], [0, []]);
    const other = join(machine.dir, 'other.yaml');
    writeFileSync(other, 'transport: vxlan');
    const changes = JSON.parse((await machine.cli('plan', ...socket, '--config', other, '-o', 'json')).text);
    assert.ok(
      (changes as PlannedChange[]).some((c) => c.target === 'route' && c.action === 'change'),
      JSON.stringify(changes),
    );
    await whyIsChecked(socket);
  }

  async function whyIsChecked(socket: readonly string[]): Promise<void> {
    const [, prefix] =
      /^(10\.244\.\d+\.)0\/24 nhid \d+ via inet6/m.exec(run('ip route show proto 201')) ?? [];
    const why = async () => {
      const { code, text } = await machine.cli('why', 'n1', `${prefix}9`, ...socket, '-o', 'json');
      return { code, ...(JSON.parse(text) as Why) };
    };
    const good = await why();
    assert.deepEqual([good.code, good.reachable], [0, 'yes']);
    assert.deepEqual(
      good.steps
        .filter((step) => step.row)
        .map(({ row, kernel }) => [row?.target, row?.state, kernel?.mismatch]),
      [
        ['route', 'done', false],
        ['fdb', 'done', false],
      ],
    );
    run(`ip route add ${prefix}9/32 dev eth0`);
    const bad = await why();
    run(`ip route del ${prefix}9/32 dev eth0`);
    assert.deepEqual([bad.code, bad.reachable], [3, 'no']);
    const wrong = bad.steps.filter((step) => step.kernel?.mismatch);
    assert.deepEqual(
      wrong.map((step) => step.row?.target),
      ['route'],
    );
    assert.match(wrong[0]?.kernel?.text ?? '', /dev eth0/);
  }

  it('repairs what somebody else alters, and tells when', async () => {
    machine.agent();
    await machine.status('ready', ready);
    const [route = ''] = run('ip route show proto 201').split(' ');
    run(`ip route del ${route}`);
    const deadline = new Deadline(5_000);
    while (!run('ip route show proto 201').includes(route)) assert.ok(!deadline.passed, 'not repaired');
    let drift: DriftRecord[] = [];
    while (!drift.some((d) => d.repaired !== undefined)) {
      assert.ok(!deadline.passed, JSON.stringify(drift));
      drift = await machine.client.get<DriftRecord[]>('/v1/drift');
    }
    assert.ok(drift.some((d) => d.target === 'route' && d.key === route && d.kind === 'missing'));
    assert.match(
      (await machine.cli('drift', '--state-dir', machine.state)).text,
      /route .* missing +after \d+ ms/,
    );
  });

  it('follows Nodes that come and go', async () => {
    machine.agent();
    await machine.status('ready', ready);
    await machine.addNode('n4', ['192.0.2.4', '2001:db8:1::4']);
    const shown = () => run('ip route show proto 201').includes('via 192.0.2.4 ');
    await until('a route to n4', shown);
    await machine.kube.delete({ group: '', version: 'v1', resource: 'nodes', name: 'n4' });
    await until('no route to n4', () => !shown());
    await machine.status('n4 gone', (s) => ready(s) && !s.pairs.some((p) => p.node === 'n4'));
  });

  it('is found as it was after SIGKILL, and changes nothing then', async () => {
    machine.agent();
    await machine.status('ready', ready);
    const before = dump();
    await machine.stop('SIGKILL');
    assert.equal(dump(), before);
    const agent = machine.agent();
    await machine.status('ready again', ready);
    assert.equal(dump(), before);
    assert.doesNotMatch(agent.output, /"action":"(add|change|remove)"/);
  });

  it('plans without running, and changes nothing', async () => {
    const before = dump();
    const flags = [
      '--kubeconfig',
      machine.kubeconfig,
      '--node',
      'n1',
      '--state-dir',
      machine.state,
      '--cni-conf-dir',
      machine.cni,
    ];
    const plan = await machine.cli('plan', ...flags);
    assert.equal(plan.code, 3, plan.text);
    assert.match(plan.text, /^\+ route 10\.244\.\d+\.0\/24 /m);
    assert.match(plan.text, /\d+ to add, 0 to change, 0 to remove/);
    assert.equal(dump(), before);
  });

  it('cleans all it can: the bridge stays while a pod is attached, an API server that is away is told', async () => {
    machine.agent();
    await machine.status('ready', ready);
    const facts = async () =>
      JSON.stringify(await machine.kube.get({ group: '', version: 'v1', resource: 'nodes', name: 'n1' }));
    assert.match(await facts(), /fairlead\.io\/node-facts/);
    await machine.stop();
    run('ip link add fairlead0 type bridge');
    run('ip link add pod0 type veth peer name pod1');
    run('ip link set pod0 master fairlead0');
    const cleanup = async (...more: string[]) => {
      const folders = ['--state-dir', machine.state, '--cni-conf-dir', machine.cni];
      const { code, text } = await machine.cli('cleanup', '--yes', ...folders, '--node', 'n1', ...more);
      return { code, text };
    };
    const bad = join(machine.dir, 'bad.json');
    writeFileSync(bad, readFileSync(machine.kubeconfig, 'utf8').replace(/:\d+\n/, ':1\n'));
    const conflist = readFileSync(join(machine.cni, '05-fairlead.conflist'));
    const first = await cleanup('--kubeconfig', bad);
    assert.equal(first.code, 1);
    assert.match(first.text, /^failed node-status cannot be read: no connection to the API server/m);
    assert.match(first.text, /^kept link fairlead0: 1 pods? (is|are) still attached/m);
    assert.equal(run('ip route show proto 201'), '');
    run('ip link del pod0');
    writeFileSync(join(machine.cni, '05-fairlead.conflist'), conflist);
    const second = await cleanup('--kubeconfig', machine.kubeconfig);
    assert.equal(second.code, 0, second.text);
    assert.match(second.text, /^removed link fairlead0$/m);
    assert.doesNotMatch(await facts(), /fairlead\.io\/node-facts/);
    assert.doesNotMatch(run('ip link'), /fairlead0/);
  });

  it('takes its identity from the pod that it runs in', async () => {
    const account = '/run/secrets/kubernetes.io/serviceaccount';
    writeFileSync(join(machine.dir, 'token'), TOKEN);
    writeFileSync(join(machine.dir, 'ca.crt'), machine.api.ca ?? '');
    const { hostname, port } = new URL(machine.api.url);
    const pod = [
      'mount -t tmpfs none /run',
      `mkdir -p ${account}`,
      `cp ${machine.dir}/token ${machine.dir}/ca.crt ${account}/`,
      `export NODE_NAME=n1 KUBERNETES_SERVICE_HOST=${hostname} KUBERNETES_SERVICE_PORT=${port}`,
      'exec "$@"',
    ].join(' && ');
    machine.agent([], { identity: [], wrapper: ['unshare', '-m', 'sh', '-c', pod, 'sh'] });
    const status = await machine.status('ready', ready);
    assert.equal(status.node, 'n1');
  });

  it('refuses a second one on the same state folder', async () => {
    machine.agent();
    await machine.status('ready', ready);
    const { code, text } = await machine.agent().ended;
    assert.equal(code, 1);
    assert.match(text, /^fairlead: another agent is running with the state folder /m);
    await machine.status('the first one still answers', ready);
  });
});
