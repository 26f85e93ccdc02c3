/** What the shipped agent says and does when its world is bad: each fault gets clear words, and the rest goes on. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Status } from '../../src/model/api.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { until } from '../support/until.ts';
import { Machine, run, TOKEN, underlay } from './agent-machine.ts';

let machine: Machine;
before(underlay);
afterEach(() => machine.close());

/** Ready, and every row is as wanted: a new row does not make the agent less ready. */
const ready = (status: Status) =>
  status.state === 'ready' && status.targets.every((t) => t.done === t.wanted && t.extra === 0);
const told = (words: RegExp) => (status: Status) =>
  status.problems.some((p) => words.test(`${p.object}: ${p.message} (${p.hint})`));
const failed = (target: string, words: RegExp) => (status: Status) =>
  status.targets.some(
    (t) => t.name === target && t.rows.some((row) => row.state === 'failed' && words.test(row.message ?? '')),
  );
const reason = (source: string, words: RegExp) => (status: Status) =>
  status.sources.some((s) => s.name === source && !s.ready && words.test(s.reason ?? ''));
const routes = () => run('ip route show proto 201');

async function twoNodes(): Promise<void> {
  machine = await Machine.start();
  await machine.addNode('n1', ['192.0.2.1', '2001:db8:1::1']);
  await machine.addNode('n2', ['192.0.2.2', '2001:db8:1::2']);
}

describe('the configuration', () => {
  beforeEach(twoNodes);

  it('with a mistake is not used and told; a good one is, without a restart', async () => {
    writeFileSync(machine.config, 'transport: layer2');
    const agent = machine.agent();
    await machine.status('ready', ready);
    const before = routes();
    writeFileSync(machine.config, 'trasport: vxlan');
    await machine.status(
      'the typo is told',
      told(/^setting trasport: there is no such setting .*config.yaml line 1.*did you mean transport/),
    );
    assert.equal(routes(), before);
    await machine.event('n1', 'SettingProblem', /^setting trasport: there is no such setting/);
    assert.match(agent.output, /"level":"warn".*setting trasport: there is no such setting/);
    writeFileSync(machine.config, 'transport: vxlan');
    await machine.status(
      'vxlan',
      (s) => ready(s) && s.problems.length === 0 && s.pairs[0]?.transport === 'vxlan',
    );
    assert.match(routes(), /dev fl-vxlan/);
  });

  it('with a mistake at start leaves the machine alone until it is mended', async () => {
    machine.agent();
    await machine.status('ready', ready);
    const before = routes();
    await machine.stop('SIGKILL');
    writeFileSync(machine.config, 'vxlan: {vni: 0}');
    machine.agent();
    const status = await machine.status(
      'config away',
      reason('config', /^setting vxlan.vni: 0 is not allowed/),
    );
    assert.equal(status.state, 'waiting');
    assert.equal(routes(), before);
    writeFileSync(machine.config, '');
    await machine.status('ready again', ready);
    assert.equal(routes(), before);
  });

  it('that is in flags and wrong ends the start with all mistakes, before anything is touched', async () => {
    const { code, text } = await machine.agent(['--vxlan-port', '0', '--transport', 'vxlna']).ended;
    assert.equal(code, 2);
    assert.match(
      text,
      /^fairlead: setting transport: "vxlna" is not allowed \(flag --transport\).*did you mean vxlan\?/m,
    );
    assert.match(text, /^setting vxlan.port: 0 is not allowed \(flag --vxlan-port\)/m);
    assert.equal(routes(), '');
  });

  it('that this build cannot do is refused by name', async () => {
    writeFileSync(machine.config, 'transport: wireguard');
    machine.agent();
    await machine.status(
      'config away',
      reason('config', /"wireguard" is not built into this version; allowed: auto, layer2, vxlan/),
    );
  });
});

describe('the API server', () => {
  it('with an expired certificate is told as such', async () => {
    const authority = new CertificateAuthority();
    const { cert, key } = authority.issue('server', ['IP:127.0.0.1', 'DNS:localhost'], -1);
    authority.close();
    machine = await Machine.start({ tls: { ca: authority.ca, cert, key } });
    machine.agent();
    await machine.status('expired', reason('nodes', /certificate.*expired|CERT_HAS_EXPIRED/i));
  });

  it('that forbids is told with the permission that is missing, and nothing is removed', async () => {
    await twoNodes();
    machine.agent();
    await machine.status('ready', ready);
    const before = routes();
    await machine.stop('SIGKILL');
    const fault = machine.api.faults.denied(403, { resource: 'nodes' });
    machine.agent();
    await machine.status('forbidden', reason('nodes', /resources: \["nodes"\], verbs: \["(list|watch)"\]/));
    assert.equal(routes(), before);
    assert.ok(fault.hits > 0);
    await fault.lift();
    await machine.status('ready again', ready);
  });

  it('that does not know us any more is told as such, and nothing is removed', async () => {
    await twoNodes();
    machine.agent();
    await machine.status('ready', ready);
    const before = routes();
    await machine.stop('SIGKILL');
    const fault = machine.api.faults.denied(401);
    const agent = machine.agent();
    await machine.status('unauthorized', reason('nodes', /^cannot .*nodes.* \(401 Unauthorized\)/));
    await until('the log tells it', () =>
      /"level":"warn".*"error":"cannot watch nodes: .*401 Unauthorized/.test(agent.output),
    );
    assert.equal(routes(), before);
    assert.ok(fault.hits > 0);
    await fault.lift();
    await machine.status('ready again', ready);
  });

  it('that knows no such Node is told so', async () => {
    machine = await Machine.start();
    machine.agent();
    await machine.status('no node', (s) =>
      /n1/.test(JSON.stringify([s.problems, s.targets.map((t) => t.error)])),
    );
  });

  it('never finds its token in the log', async () => {
    await twoNodes();
    const agent = machine.agent(['--log-level', 'trace']);
    await machine.status('ready', ready);
    await machine.stop();
    assert.match(agent.output, /"level":"debug"/);
    assert.ok(!agent.output.includes(TOKEN));
  });
});

describe('the machine', () => {
  beforeEach(twoNodes);

  it('with read-only sysctls is told row by row, and routes are made all the same', async () => {
    const readOnly = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"';
    machine.agent([], { wrapper: ['unshare', '-m', 'sh', '-c', readOnly, 'sh'] });
    await machine.status('sysctl failed', failed('sysctl', /cannot be written \(EROFS\)/));
    await machine.status('route', (s) =>
      s.targets.some((t) => t.name === 'route' && t.wanted === 2 && t.done === 2),
    );
    assert.match(routes(), /via 192\.0\.2\.2/);
  });

  it("with somebody else's link under our name is told, on-link nodes are reached all the same, and it is mended when that goes", async () => {
    await machine.addNode('n3', ['198.51.100.3']);
    run('ip link add fl-vxlan type bridge');
    const agent = machine.agent();
    await machine.status('link failed', failed('link', /^link fl-vxlan exists and is not ours/));
    await until('the log tells it', () =>
      /"level":"warn".*"link".*link fl-vxlan exists and is not ours/.test(agent.output),
    );
    await machine.status(
      'the rest',
      (s) => s.state === 'degraded' && /10\.244\.1\.0\/24 via 192\.0\.2\.2 dev eth0/.test(routes()),
    );
    assert.match(run('ip -d link show fl-vxlan'), / bridge forward_delay /, 'it is left alone');
    run('ip link del fl-vxlan');
    await machine.status('ready', ready);
    assert.match(routes(), /10\.244\.2\.0\/24 .*dev fl-vxlan/);
  });

  it('with a full disk for the conflist is told, and it is written when there is room', async () => {
    run(`mount -t tmpfs -o size=8k none ${machine.cni}`);
    writeFileSync(join(machine.cni, 'ballast'), 'x'.repeat(8192));
    machine.agent();
    await machine.status('file failed', failed('file', /no space left on the disk \(ENOSPC\)/));
    // A try under way has its temporary file there.
    await until('no half file is left', () => readdirSync(machine.cni).join() === 'ballast');
    writeFileSync(join(machine.cni, 'ballast'), '');
    await machine.status('written', (s) => s.targets.some((t) => t.name === 'file' && t.done === 1));
    await machine.stop();
    assert.ok(readdirSync(machine.cni).includes('05-fairlead.conflist'));
    run(`umount ${machine.cni}`);
  });

  it('that gives no CAP_NET_ADMIN is told in one line', async () => {
    const { code, text } = await machine.agent([], { wrapper: ['setpriv', '--bounding-set', '-net_admin'] })
      .ended;
    assert.equal(code, 1);
    assert.match(text, /^fairlead: the capability CAP_NET_ADMIN is missing.*NET_ADMIN\)\n$/);
  });

  it('whose health port is taken is told, and the agent works', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => squatter.once('listening', resolve));
    const { port } = squatter.address() as { port: number };
    machine.agent(['--health-port', String(port)]);
    await machine.status('port', (s) => ready(s) && told(/^setting health.port: .*EADDRINUSE/)(s));
    squatter.close();
  });

  it('shows health and metrics on its port', async () => {
    const agent = machine.agent(['--health-port', '20244']);
    await machine.status('ready', ready);
    const get = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:20244${path}`);
      return { status: answer.status, text: await answer.text() };
    };
    assert.deepEqual(await get('/healthz'), { status: 200, text: 'ok\n' });
    assert.deepEqual(await get('/readyz'), { status: 200, text: 'ok\n' });
    assert.equal((await get('/v1/status')).status, 404, 'the API is on the socket alone');
    const { text } = await get('/metrics');
    assert.match(text, /^fairlead_rows\{target="route",state="done"\} 2$/m);
    assert.match(text, /^fairlead_state\{state="ready"\} 1$/m);
    assert.match(text, /^fairlead_source_ready\{source="nodes"\} 1$/m);
    assert.match(text, /^fairlead_event_to_kernel_seconds_count [1-9]/m);
    assert.match(text, /^fairlead_queue_depth 0$/m);
    const rss = Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1]);
    const kernelSays =
      Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${agent.child.pid}/status`, 'utf8'))?.[1]) *
      1024;
    assert.ok(Math.abs(rss - kernelSays) < 16 << 20, `${rss} against ${kernelSays}`);
  });
});
