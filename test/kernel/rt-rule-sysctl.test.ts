/** Targets `rule` and `sysctl` on the real kernel. FAIRLEAD_RUNS multiplies the random cases. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Cidr } from '../../src/model/net/cidr.ts';
import { type RuleBody, ruleKey } from '../../src/model/rows/rule.ts';
import { type SysctlBody, sysctlKey } from '../../src/model/rows/sysctl.ts';
import { NETLINK_ROUTE } from '../../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { ruleTarget } from '../../src/targets/linux/rule.ts';
import { sysctlTarget } from '../../src/targets/linux/sysctl.ts';
import { fc } from '../support/property.ts';
import { until } from '../support/until.ts';
import { checkTargetLaws, ip, ipBatch, keyed, pass, turns, underlay } from './rt-laws.ts';

const nl = openNetlink(NETLINK_ROUTE);
const other = openNetlink(NETLINK_ROUTE);
const dir = mkdtempSync(join(tmpdir(), 'fairlead-sysctl-'));
const journal = join(dir, 'state', 'sysctls.json');

before(underlay);
after(() => {
  nl.close();
  other.close();
  rmSync(dir, { recursive: true });
});

const prefixes = { ipv4: ['10.1.0.0/16', '10.1.2.3/32'], ipv6: ['fd00:1::/48', 'fd00:1::1/128'] } as const;
const ruleBody: fc.Arbitrary<RuleBody> = fc.constantFrom('ipv4' as const, 'ipv6' as const).chain((family) =>
  fc.record({
    family: fc.constant(family),
    priority: fc.integer({ min: 100, max: 104 }),
    table: fc.constantFrom(77, 254, 1000),
    from: fc.constantFrom(undefined, ...prefixes[family]) as fc.Arbitrary<Cidr | undefined>,
    to: fc.constantFrom(undefined, ...prefixes[family]) as fc.Arbitrary<Cidr | undefined>,
    mark: fc.constantFrom(undefined, { value: 1, mask: 0xff }, { value: 0x80000000, mask: 0xffffffff }),
  }),
);
const foreignRule = fc.uniqueArray(
  fc.constantFrom(
    ...[
      'from 10.1.0.0/16 lookup 99 pref 101',
      'from all fwmark 0x7 lookup 98 pref 102',
      'from 10.1.2.3 to 10.1.0.0/16 lookup 1000 pref 104',
      'iif eth0 lookup 77 pref 110 proto 201',
    ],
  ),
);

test('rule: the five laws', async () => {
  await checkTargetLaws({
    target: ruleTarget(nl),
    witness: ruleTarget(other),
    state: keyed(ruleBody, (b) => ruleKey(b.family, b.priority), 8),
    foreign: foreignRule,
    make: (rules: readonly string[]) => void ipBatch(rules.map((rule) => `rule add ${rule}`)),
    unmake: (rules) => void ipBatch(rules.map((rule) => `rule del ${rule}`)),
    others: () =>
      `${ip('rule')}${ip('-6', 'rule')}`
        .split('\n')
        .filter((line) => !line.includes('proto 201') || line.includes('iif'))
        .join('\n'),
    disturb(state, seed) {
      const one = [...state.values()][seed % Math.max(state.size, 1)];
      const six = one?.family === 'ipv6' ? ['-6'] : [];
      if (one && seed % 2 === 0)
        ip(...six, 'rule', 'del', 'pref', String(one.priority), 'lookup', String(one.table), 'proto', '201');
      if (one && seed % 2 === 1)
        ip(...six, 'rule', 'add', 'pref', String(one.priority), 'lookup', '55', 'proto', '201');
    },
  });
});

test("rule: another's equal rule stands beside ours and outlives it", async () => {
  const equal = ['rule', 'add', 'from', '10.1.0.0/16', 'lookup', '77', 'pref', '100'];
  ip(...equal);
  const wanted = {
    family: 'ipv4',
    priority: 100,
    table: 77,
    from: '10.1.0.0/16' as Cidr,
    to: undefined,
    mark: undefined,
  } as const;
  const target = ruleTarget(nl);
  await pass(target, new Map([[ruleKey('ipv4', 100), wanted]]));
  assert.equal(ip('rule').match(/^100:.*$/gm)?.length, 2);
  await pass(target, new Map());
  assert.deepEqual(ip('rule').match(/^100:.*$/gm), ['100:\tfrom 10.1.0.0/16 lookup 77']);
  ip('rule', 'del', 'pref', '100');
});

test('rule: drift is told by key', async () => {
  const target = ruleTarget(nl);
  const wanted = {
    family: 'ipv6',
    priority: 100,
    table: 77,
    from: undefined,
    to: undefined,
    mark: undefined,
  } as const;
  const key = ruleKey('ipv6', 100);
  await pass(target, new Map([[key, wanted]]));
  const told: string[] = [];
  const watch = target.watch?.((keys) => told.push(keys === 'unknown' ? 'unknown' : [...keys].join()));
  ip('rule', 'add', 'lookup', '77', 'pref', '555');
  ip('-6', 'rule', 'del', 'pref', '100');
  await until('the deletion is told', () => told.length > 0);
  assert.deepEqual(told, [key]);
  watch?.close();
  ip('rule', 'del', 'pref', '555');
});

const SETTINGS = [
  'net/ipv4/conf/eth0/rp_filter',
  'net/ipv4/conf/eth1/rp_filter',
  'net/ipv4/ip_forward',
  'net/ipv6/conf/all/forwarding',
];
const value = (path: string) => readFileSync(join('/proc/sys', path), 'utf8').trim();
const sysctlBody: fc.Arbitrary<SysctlBody> = fc.record({
  path: fc.constantFrom(...SETTINGS),
  value: fc.constantFrom('0', '1'),
});

test('sysctl: the five laws; what was there before comes back', async () => {
  const target = sysctlTarget({ journal, nl });
  const before = SETTINGS.map(value);
  await checkTargetLaws({
    target,
    witness: sysctlTarget({ journal: join(dir, 'none.json') }),
    state: keyed(sysctlBody, (b) => sysctlKey(b.path)),
    foreign: fc.constantFrom('0', '1'),
    make: (v: string) => writeFileSync('/proc/sys/net/ipv4/conf/eth0/accept_redirects', v),
    unmake: () => {},
    others: () => value('net/ipv4/conf/eth0/accept_redirects') + value('net/ipv4/conf/lo/rp_filter'),
    disturb(state, seed) {
      const one = [...state.values()][seed % Math.max(state.size, 1)];
      if (one) writeFileSync(join('/proc/sys', one.path), one.value === '0' ? '1' : '0');
    },
  });
  assert.deepEqual(SETTINGS.map(value), before);
});

const set = (path: string, to: string) => ({
  key: sysctlKey(path),
  wanted: { path, value: to },
  found: undefined,
});

test('sysctl: a new process knows what is ours, and the first value is the one restored', async () => {
  const path = 'net/ipv4/conf/eth0/rp_filter';
  writeFileSync(join('/proc/sys', path), '2');
  await sysctlTarget({ journal }).apply([set(path, '0')]);
  await sysctlTarget({ journal }).apply([set(path, '1')]);
  const fresh = sysctlTarget({ journal });
  assert.deepEqual([...(await fresh.observe()).values()], [{ path, value: '1' }]);
  await pass(fresh, new Map());
  assert.equal(value(path), '2');
  assert.equal((await fresh.observe()).size, 0);
});

test('sysctl: a path that is not there and a value that is refused are said clearly, the rest is done', async () => {
  const target = sysctlTarget({ journal });
  const [gone, bad, fine] = await target.apply([
    set('net/ipv6/conf/nope/forwarding', '1'),
    set('net/ipv4/ip_default_ttl', '9999'),
    set('net/ipv4/conf/eth1/rp_filter', '0'),
  ]);
  assert.ok(gone && !gone.ok && bad && !bad.ok && fine?.ok);
  assert.match(gone.error.message, /sysctl net\/ipv6\/conf\/nope\/forwarding does not exist/);
  assert.match(bad.error.message, /ip_default_ttl: the kernel refuses the value \(EINVAL\)/);
  await pass(target, new Map());
});

test('sysctl: a read-only /proc/sys is named as such', async () => {
  const target = sysctlTarget({ journal });
  const [outcome] = await target.apply([set('kernel/ostype', 'Fairlead')]);
  assert.ok(outcome && !outcome.ok);
  assert.match(outcome.error.message, /cannot be written \((EACCES|EPERM|EROFS)\)/);
  await pass(target, new Map());
});

test('sysctl: settings go with their link, and the journal forgets them', async () => {
  ip('link', 'add', 'gone0', 'type', 'veth', 'peer', 'name', 'gone1');
  const target = sysctlTarget({ journal });
  await target.apply([set('net/ipv4/conf/gone0/rp_filter', '0')]);
  ip('link', 'del', 'gone0');
  assert.equal((await target.observe()).size, 0);
  await target.apply([set('net/ipv4/conf/eth0/rp_filter', '0')]);
  assert.doesNotMatch(readFileSync(journal, 'utf8'), /gone0/);
  await pass(target, new Map());
});

test('sysctl: without a journal nothing is changed', async () => {
  const before = value('net/ipv4/ip_forward');
  const target = sysctlTarget({ journal: '/proc/nowhere/sysctls.json' });
  await assert.rejects(target.apply([set('net/ipv4/ip_forward', before === '0' ? '1' : '0')]), {
    code: 'sysctl-journal',
  });
  assert.equal(value('net/ipv4/ip_forward'), before);
});

test('sysctl: a change by another is told', async () => {
  const target = sysctlTarget({ journal, nl });
  let told = 0;
  const watch = target.watch?.(() => told++);
  ip('link', 'set', 'lo', 'up');
  await turns();
  writeFileSync(
    '/proc/sys/net/ipv4/conf/eth0/rp_filter',
    value('net/ipv4/conf/eth0/rp_filter') === '1' ? '0' : '1',
  );
  await until('the change is told', () => told > 0);
  watch?.close();
});
