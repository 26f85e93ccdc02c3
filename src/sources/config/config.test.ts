import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Deadline } from '../../lab/deadline.ts';
import type { Clock } from '../../model/clock.ts';
import type { Problem } from '../../model/problem.ts';
import type { WorldSink } from '../../model/world.ts';
import { annotatedSample, settingsHelp } from './describe.ts';
import { nearest } from './nearest.ts';
import { SETTING_NAMES, settingOf, type Values } from './settings.ts';
import { type ConfigInput, ConfigSource, load, problemText, settingsAtStart } from './source.ts';

const facts = { transports: ['layer2', 'vxlan'], hostname: 'N1' };
const input = (
  flags: Record<string, string> = {},
  env: Record<string, string | undefined> = {},
): ConfigInput => ({
  flags: new Map(Object.entries(flags)),
  env,
  facts,
});
const file = (text: string) => ({ path: '/etc/fairlead/config.yaml', text });
const told = async (text: string) => (await load(input(), file(text))).problems.map(problemText);

describe('the order of precedence', () => {
  it('is flags, then environment, then file, then defaults', async () => {
    const text = file('transport: layer2\nvxlan: { vni: 7, port: 1 }\npodMtu: 1400');
    const { values, problems } = await load(
      input({ 'vxlan-vni': '9' }, { FAIRLEAD_VXLAN_VNI: '8', FAIRLEAD_VXLAN_PORT: '2' }),
      text,
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(
      [values['vxlan.vni'], values['vxlan.port'], values.podMtu, values.transport, values['cni.bridge']],
      [9, 2, 1400, 'layer2', 'fairlead0'],
    );
  });

  it('takes the Node name from the flag, FAIRLEAD_NODE, NODE_NAME and the host name, in this order', async () => {
    const node = async (i: ConfigInput) => (await load(i, undefined)).values.node;
    assert.equal(await node(input({ node: 'a' }, { FAIRLEAD_NODE: 'b', NODE_NAME: 'c' })), 'a');
    assert.equal(await node(input({}, { FAIRLEAD_NODE: 'b', NODE_NAME: 'c' })), 'b');
    assert.equal(await node(input({}, { NODE_NAME: 'c' })), 'c');
    assert.equal(await node(input()), 'n1');
  });
});

describe('a mistake', () => {
  it('names the setting, the value, the line and what is allowed', async () => {
    assert.deepEqual(await told('transport: auto\nvxlan:\n  vni: 0\n'), [
      'setting vxlan.vni: 0 is not allowed (/etc/fairlead/config.yaml line 3); allowed: a whole number from 1 to 16777215',
    ]);
  });

  it('in a name is told with the name that was meant', async () => {
    assert.match(
      (await told('trasport: vxlan'))[0]!,
      /^setting trasport: there is no such setting .*did you mean transport\?/,
    );
    assert.match((await told('vxlan: {vnii: 2}'))[0]!, /^setting vxlan.vnii: .*did you mean vxlan.vni\?/);
  });

  it('in a word is told with the word that was meant', async () => {
    assert.match((await told('transport: vxlam'))[0]!, /"vxlam" is not allowed .*did you mean vxlan\?/);
  });

  it('does not hide another one', async () => {
    assert.equal((await told('podMtu: 9\nnope: 1\ncni: 5\nvxlan: {port: 70000}')).length, 4);
  });

  it('in a list shows only the bad entry', async () => {
    assert.match(
      (await told('masquerade: {exclude: [10.0.0.0/8, 10.1.2.3/16]}'))[0]!,
      /^setting masquerade.exclude: "10.1.2.3\/16" is not allowed/,
    );
  });

  it('in the YAML is told with its line', async () => {
    assert.match((await told('a: 1\nb: [1,\n'))[0]!, /^file .*config.yaml: line \d/);
    assert.match((await told('transport: auto\ntransport: vxlan'))[0]!, /line 2: .*unique/i);
    assert.match((await told('- transport'))[0]!, /is not a list of settings/);
  });

  it('that only this build makes is told as such', async () => {
    assert.match(
      (await told('transport: wireguard'))[0]!,
      /"wireguard" is not built into this version; allowed: auto, layer2, vxlan/,
    );
  });

  it('in a flag or variable is fatal at start, and all are told', () => {
    assert.throws(
      () => settingsAtStart(input({ 'health-port': 'x' }, { FAIRLEAD_POD_MTU: '12' })),
      /flag --health-port[\s\S]*FAIRLEAD_POD_MTU/,
    );
  });

  it('in the name of a variable is a warning; what others set is none', () => {
    const env = {
      FAIRLEAD_VXLANVNI: '3',
      FAIRLEAD_SERVICE_HOST: '10.0.0.1',
      FAIRLEAD_KUBE: '/x',
      FAIRLEAD_TEST_COUNTS: '/y',
    };
    assert.deepEqual(settingsAtStart(input({}, env)).problems.map(problemText), [
      'environment variable FAIRLEAD_VXLANVNI: is not a setting (did you mean FAIRLEAD_VXLAN_VNI?)',
    ]);
  });

  it('of place: what belongs to one machine cannot be in the shared file', async () => {
    assert.match((await told('kubeconfig: /x'))[0]!, /cannot be set in a file .*use --kubeconfig/);
  });
});

describe('good input', () => {
  it('may leave values empty', async () => {
    const { values, problems } = await load(input(), file('podMtu:\nvxlan:\n# nothing\n'));
    assert.deepEqual([problems, values.podMtu, values['vxlan.vni']], [[], undefined, 1]);
    assert.deepEqual((await load(input(), file(''))).problems, []);
  });

  it('is the annotated sample, as it is and with every line switched on', async () => {
    assert.deepEqual(await told(annotatedSample()), []);
    const on = annotatedSample().replace(/^( *)# (?!Allowed)(\w+:)/gm, '$1$2');
    assert.notEqual(on, annotatedSample());
    const { values, problems } = await load(input({ node: 'n1' }), file(on));
    assert.deepEqual(problems, []);
    assert.deepEqual(values, (await load(input({ node: 'n1' }), undefined)).values);
  });

  it('is what the help lists: every setting with its flag', () => {
    for (const name of SETTING_NAMES) assert.match(settingsHelp(), new RegExp(`--${settingOf(name).flag} `));
  });
});

it('guesses only what is near', () => {
  assert.equal(nearest('transprot', ['transport', 'podMtu']), 'transport');
  assert.equal(nearest('zzzz', ['transport', 'podMtu']), undefined);
});

describe('the source', () => {
  let dir = '';
  let source: ConfigSource;
  let values: Values[] = [];
  let problems: readonly Problem[] = [];
  let world: string[] = [];
  const path = () => join(dir, 'config.yaml');
  const sink: WorldSink = {
    put: (_s, key, object) => void world.push(`${key} ${JSON.stringify(object)}`),
    remove: () => assert.fail('never removed'),
    replace: () => assert.fail('never replaced'),
    ready: (name) => void world.push(`ready ${name}`),
    notReady: (name, reason) => void world.push(`not ready ${name}: ${reason}`),
  };
  const clock: Clock = {
    wall: Date.now,
    monotonic: () => performance.now(),
    after: (ms, callback) => {
      const timer = setTimeout(callback, ms);
      return { cancel: () => clearTimeout(timer) };
    },
  };
  const until = async (true_: () => boolean) => {
    const deadline = new Deadline(10_000);
    while (!true_()) {
      assert.ok(!deadline.passed, `not seen: ${true_}; problems ${JSON.stringify(problems)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const start = async (flags: Record<string, string> = {}) => {
    const all = input({ node: 'n1', ...flags });
    source = new ConfigSource(all, sink, clock, {
      onValues: (v) => values.push(v),
      onProblems: (p) => {
        problems = p;
      },
    });
    return source.start(path(), settingsAtStart(all).values);
  };

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'fairlead-config-'));
    [values, problems, world] = [[], [], []];
  });
  afterEach(() => {
    source.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it('follows a file that is written, replaced by rename, and removed', async () => {
    writeFileSync(path(), 'transport: vxlan');
    await start();
    assert.equal(values.at(-1)?.transport, 'vxlan');
    writeFileSync(path(), 'transport: layer2');
    await until(() => values.at(-1)?.transport === 'layer2');
    writeFileSync(join(dir, 'new'), 'transport: auto');
    renameSync(join(dir, 'new'), path());
    await until(() => values.at(-1)?.transport === 'auto');
    rmSync(path());
    await until(() => /cannot read .*ENOENT/.test(problems[0]?.message ?? ''));
    assert.equal(values.length, 3, 'the last good configuration stays');
  });

  it('follows a mounted ConfigMap, whose ..data link is swapped', async () => {
    const version = (n: number, text: string) => {
      mkdirSync(join(dir, `..${n}`));
      writeFileSync(join(dir, `..${n}`, 'config.yaml'), text);
      symlinkSync(`..${n}`, join(dir, '..data_tmp'));
      renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
    };
    version(1, 'podMtu: 1400');
    symlinkSync('..data/config.yaml', path());
    await start();
    version(2, 'podMtu: 1300');
    await until(() => values.at(-1)?.podMtu === 1300);
  });

  it('keeps the last good configuration while the file is bad, and says so until it is good again', async () => {
    writeFileSync(path(), 'podMtu: 1400');
    await start();
    writeFileSync(path(), 'podMtu: 12');
    await until(() => problems.length > 0);
    assert.equal(values.length, 1);
    assert.ok(!world.some((line) => line.startsWith('not ready')), 'the World keeps it too');
    writeFileSync(path(), 'podMtu: 1500');
    await until(() => values.at(-1)?.podMtu === 1500);
    assert.deepEqual(problems, []);
  });

  it('is not ready until there was a good one', async () => {
    writeFileSync(path(), 'podMtu: 12');
    await start();
    assert.match(world.join('\n'), /^not ready config: setting podMtu: 12 is not allowed/);
    writeFileSync(path(), 'podMtu: 1400');
    await until(() => world.includes('ready config'));
  });

  it('says which change needs a restart and uses the rest', async () => {
    writeFileSync(path(), 'health: {port: 1000}');
    assert.equal((await start())['health.port'], 1000);
    writeFileSync(path(), 'health: {port: 2000}\npodMtu: 1400');
    await until(() => values.at(-1)?.podMtu === 1400);
    assert.equal(values.at(-1)?.['health.port'], 1000);
    assert.match(
      problems.map(problemText).join(),
      /setting health.port: is still 1000: .*2000 takes effect when the agent starts again/,
    );
  });

  it('does not report the same configuration twice', async () => {
    writeFileSync(path(), 'podMtu: 1400');
    await start();
    writeFileSync(path(), '# a remark\npodMtu: 1400');
    await source.read();
    await source.read();
    assert.equal(values.length, 1);
  });
});
