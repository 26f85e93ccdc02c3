/** A lab leaves nothing behind, however it ends. Agents are off: this is about the process tree, not about the network. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { isAlive, type LabRecord } from '../../src/lab/outside/state.ts';
import { hostLinks, hostMounts, namespaceOf, processesIn } from './support/processes.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'fl-'));
after(() => rmSync(stateDir, { recursive: true, force: true }));
const MAIN = join(import.meta.dirname, '../../src/lab/main.ts');
const API = process.env.FAIRLEAD_LAB_API ?? 'lab';
const UP = ['--api', API, '--no-agents', '--nodes', '2', '--pods', '1', '--state-dir', stateDir];

/** Starts a lab from a command line, as a person does. */
async function startFromShell(
  name: string,
): Promise<{ launcher: ChildProcess; record: LabRecord; pids: string }> {
  const launcher = spawn(process.execPath, [MAIN, 'up', '--name', name, ...UP], { stdio: 'ignore' });
  const record = await recordOf(name);
  return { launcher, record, pids: namespaceOf(record.init.pid, 'pid') };
}

const recordOf = (name: string): Promise<LabRecord> =>
  eventually(() => JSON.parse(readFileSync(join(stateDir, name, 'lab.json'), 'utf8')) as LabRecord, 20_000);

const endings: readonly [string, (lab: { launcher: ChildProcess; record: LabRecord }) => void][] = [
  ['Ctrl-C', ({ launcher }) => launcher.kill('SIGINT')],
  ['SIGTERM', ({ launcher }) => launcher.kill('SIGTERM')],
  ['a closed terminal (SIGHUP)', ({ launcher }) => launcher.kill('SIGHUP')],
  ['SIGKILL of the launcher', ({ launcher }) => launcher.kill('SIGKILL')],
  ['SIGKILL of the first process', ({ record }) => process.kill(record.init.pid, 'SIGKILL')],
];
for (const [i, [what, end]] of endings.entries()) {
  test(`nothing is left after ${what}`, async () => {
    const before = { links: hostLinks(), mounts: hostMounts() };
    const name = `end-${i}`;
    const lab = await startFromShell(name);
    assert.ok(processesIn(lab.pids).length > 0);
    const gone = new Promise((resolve) => lab.launcher.once('exit', resolve));
    end(lab);
    await gone;
    await eventually(() => {
      assert.deepEqual(processesIn(lab.pids), [], 'processes');
      assert.ok(!existsSync(join(stateDir, name)), 'state folder');
    }, 3000);
    assert.deepEqual({ links: hostLinks(), mounts: hostMounts() }, before);
  });
}

/** The lab's first process is there before the lab is up. */
const moments = { 'while the lab starts': 'init.pid', 'of a lab that is up': 'lab.json' } as const;
for (const [when, file] of Object.entries(moments)) {
  test(`nothing is left after SIGKILL of the script that npm started, ${when}`, async () => {
    const script = join(import.meta.dirname, '../../scripts/lab.ts');
    const wrapper = spawn(process.execPath, [script, '--name', 'npm', ...UP], { stdio: 'ignore' });
    const folder = join(stateDir, 'npm');
    const pids = await eventually(() => {
      assert.ok(existsSync(join(folder, file)));
      return namespaceOf(Number(readFileSync(join(folder, 'init.pid'), 'utf8')), 'pid');
    }, 20_000);
    wrapper.kill('SIGKILL');
    await eventually(() => {
      assert.deepEqual(processesIn(pids), [], 'processes');
      assert.ok(!existsSync(folder), 'state folder');
    }, 20_000);
  });
}

test('both ends killed at once: the next start sweeps the folder', async () => {
  const { launcher, record, pids } = await startFromShell('both');
  launcher.kill('SIGKILL');
  process.kill(record.init.pid, 'SIGKILL');
  await eventually(() => assert.deepEqual(processesIn(pids), []), 3000);
  const next = await startFromShell('next');
  assert.deepEqual(readdirSync(stateDir), ['next']);
  next.launcher.kill('SIGTERM');
  await eventually(() => assert.deepEqual(readdirSync(stateDir), []), 3000);
});

test('--detach returns when it is up; other terminals use it; down ends it', async () => {
  const run = (...args: string[]) =>
    new Promise<{ code: number | null; text: string }>((resolve) => {
      const child = spawn(process.execPath, [MAIN, ...args, '--name', 'd', '--state-dir', stateDir]);
      let text = '';
      child.stdout.on('data', (chunk) => (text += String(chunk)));
      child.stderr.on('data', (chunk) => (text += String(chunk)));
      child.once('close', (code) => resolve({ code, text }));
    });
  const up = await run('up', '--api', API, '--detach', '--no-agents', '--nodes', '1', '--pods', '1');
  assert.equal(up.code, 0, up.text);
  const second = await run('up', '--api', API, '--detach', '--no-agents', '--nodes', '1');
  assert.equal(second.code, 1);
  assert.match(second.text, /runs already.*lab down/s);
  assert.match((await run('kubeconfig')).text, /\/d\/kubeconfig\n$/);
  assert.match((await run('status')).text, /n1 .*no: /);
  const record = JSON.parse(readFileSync(join(stateDir, 'd', 'lab.json'), 'utf8')) as LabRecord;
  assert.equal((await run('down')).code, 0);
  assert.ok(!isAlive(record.init) && !isAlive(record.launcher));
  assert.ok(!existsSync(join(stateDir, 'd')));
  assert.match((await run('status')).text, /no lab named "d" runs/);
});

test('two labs run side by side and do not see each other', async () => {
  await using one = await Lab.start({ nodes: 1, agents: false });
  await using two = await Lab.start({ nodes: 2, agents: false });
  assert.equal((await one.status()).nodes.length, 1);
  assert.equal((await two.status()).nodes.length, 2);
  assert.notEqual(namespaceOf(one.record.init.pid, 'net'), namespaceOf(two.record.init.pid, 'net'));
});

test('teardown is quick, and exec works while it lives', async (t) => {
  const lab = await Lab.start({ nodes: 3, agents: false });
  assert.match(await lab.run('n1', 'ip', '-br', 'addr'), /eth0.*192\.0\.2\.11\/24/);
  assert.equal((await lab.exec('n1', 'sh', '-c', 'exit 7')).code, 7);
  const begun = performance.now();
  await lab.close();
  t.diagnostic(
    `up in ${lab.milliseconds.toFixed(0)} ms, down in ${(performance.now() - begun).toFixed(0)} ms`,
  );
});

test('what cannot start says why and leaves nothing', async () => {
  const bad = { nodes: 1, agents: false, topology: undefined as never };
  const topology = {
    families: ['ipv4'],
    segments: [{ name: 'wire0', cidrs: ['192.0.2.0/24'], mtu: 1500 }],
    routers: [],
    nodes: [{ name: 'n1', segment: 'nowhere', pods: 1 }],
    outside: undefined,
    clusterCidrs: ['10.244.0.0/16'],
  } as const;
  await assert.rejects(Lab.start({ ...bad, topology }), /no segment "nowhere"/);
});
