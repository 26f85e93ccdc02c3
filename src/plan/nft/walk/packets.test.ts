import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip } from '../../../model/net/ip.ts';
import {
  type NftBody,
  type NftChain,
  type NftExpr,
  type NftRule,
  type NftSet,
  type NftVerdict,
  nftChainKey,
} from '../../../model/rows/nft.ts';
import type { Row } from '../../../model/rows/row.ts';
import type { Packet } from './packet.ts';
import { tableView, walkPacket } from './packets.ts';

const packet: Packet = {
  hook: 'forward',
  from: '10.0.0.1' as Ip,
  to: '10.0.0.2' as Ip,
  protocol: 'tcp',
  dport: 80,
};
const said = (verdict: NftVerdict['verdict'], chain?: string): NftExpr => ({
  expr: 'verdict',
  verdict: { verdict, ...(chain !== undefined && { chain }) },
});
const rule = (comment: string, ...exprs: readonly NftExpr[]): NftRule => ({ exprs, comment });
const chain = (name: string, rules: readonly NftRule[], hook?: NftChain['hook']): NftChain => ({
  kind: 'chain',
  name,
  hook,
  rules,
});
const base = (name: string, rules: readonly NftRule[], priority = 0, policy: 'accept' | 'drop' = 'accept') =>
  chain(name, rules, { type: 'filter', hook: 'forward', priority, policy });
const table = (...bodies: readonly NftBody[]) =>
  tableView(bodies.map((body, i): Row => ({ target: 'nft', key: `${i}`, body, why: '' })));
const walk = (bodies: readonly NftBody[], more: Partial<Packet> = {}) =>
  walkPacket(table(...bodies), { ...packet, ...more });
/** Whether a rule of these expressions matches. */
const matches = (exprs: readonly NftExpr[], more: Partial<Packet> = {}, sets: readonly NftBody[] = []) =>
  walk([...sets, base('b', [rule('r', ...exprs, said('drop'))])], more).verdict === 'dropped';

test('accepting ends one base chain, dropping ends the walk', () => {
  const first = base('first', [rule('yes', said('accept')), rule('never', said('drop'))], -5);
  const second = base('second', [rule('no', said('drop'))], 5);
  const third = base('third', [rule('never', said('accept'))], 6);
  const passage = walk([third, second, first]);
  assert.deepEqual(
    passage.decisions.map(({ base, by, verdict }) => `${base} ${by} ${verdict}`),
    ['first yes accepted', 'second no dropped'],
  );
  assert.deepEqual([passage.verdict, passage.by], ['dropped', 'no']);
  assert.equal(walk([second], { hook: 'input' }).verdict, 'accepted', 'another hook');
});

test('jumps come back, gotos do not; the policy has the last word', () => {
  const there = chain('there', [rule('back', said('return')), rule('never', said('accept'))]);
  const end = chain('end', []);
  const after = rule('after', said('drop'));
  assert.equal(walk([there, base('b', [rule('', said('jump', 'there')), after])]).by, 'after');
  assert.equal(walk([end, base('b', [rule('', said('jump', 'end')), after])]).by, 'after');
  assert.equal(walk([there, base('b', [rule('', said('goto', 'there')), after])]).verdict, 'accepted');
  assert.equal(walk([end, base('b', [rule('', said('goto', 'end')), after], 0, 'drop')]).verdict, 'dropped');
  // A goto in a chain that was jumped to comes back to where the jump was.
  const through = chain('through', [rule('', said('goto', 'end')), rule('never', said('accept'))]);
  assert.equal(walk([end, through, base('b', [rule('', said('jump', 'through')), after])]).by, 'after');
  assert.throws(() => walk([base('b', [rule('', said('jump', 'nowhere'))])]), /no chain nowhere/);
  const loop = chain('loop', [rule('', said('jump', 'loop'))]);
  assert.throws(() => walk([loop, base('b', [rule('', said('jump', 'loop'))])]), /16 deep/);
});

test('headers, marks, links and what connection tracking says', () => {
  const cmp = (data: string): NftExpr => ({ expr: 'cmp', op: 'eq', sreg: 8, data });
  const saddr: NftExpr = { expr: 'payload', base: 'network', offset: 12, length: 4, dreg: 8 };
  const saddr6: NftExpr = { expr: 'payload', base: 'network', offset: 8, length: 16, dreg: 8 };
  const dport: NftExpr = { expr: 'payload', base: 'transport', offset: 2, length: 2, dreg: 8 };
  const flags: NftExpr = { expr: 'payload', base: 'transport', offset: 13, length: 1, dreg: 8 };
  assert.ok(matches([saddr, cmp('0a000001')]));
  assert.ok(matches([{ ...saddr, length: 3 }, cmp('0a0000')]));
  assert.ok(matches([saddr6, cmp(`fd${'0'.repeat(29)}1`)], { from: 'fd00::1' as Ip, to: 'fd00::2' as Ip }));
  assert.ok(matches([dport, cmp('0050')]));
  assert.ok(!matches([dport, cmp('0050')], { dport: 81 }));
  assert.ok(matches([flags, cmp('02')]) && matches([flags, cmp('10')], { state: 'established' }));
  assert.ok(
    !matches([
      { ...flags, offset: 40 },
      { expr: 'cmp', op: 'neq', sreg: 8, data: '01' },
    ]),
    'too short',
  );
  const icmp: NftExpr = { expr: 'payload', base: 'transport', offset: 0, length: 1, dreg: 8 };
  assert.ok(matches([icmp, cmp('08')], { protocol: 'icmp' }));
  assert.ok(matches([icmp, cmp('87')], { protocol: 'icmpv6', icmpType: 135 }));
  const range: NftExpr = { expr: 'range', op: 'neq', sreg: 8, from: '0050', to: '005a' };
  assert.ok(!matches([dport, range], { dport: 90 }) && matches([dport, range], { dport: 91 }));
  const mask: NftExpr = { expr: 'bitwise', sreg: 8, dreg: 8, length: 4, mask: 'ffff0000', xor: '00000001' };
  assert.ok(
    matches([saddr, mask, cmp('0a000001')]) &&
      matches([saddr, mask, cmp('0a000001')], { from: '10.0.9.9' as Ip }),
  );
  const meta = (key: 'nfproto' | 'l4proto' | 'mark' | 'iifname' | 'oifname'): NftExpr => ({
    expr: 'meta',
    key,
    dreg: 8,
  });
  assert.ok(
    matches([meta('nfproto'), cmp('02')]) && matches([meta('l4proto'), cmp('84')], { protocol: 'sctp' }),
  );
  assert.ok(matches([meta('mark'), cmp('00400000')], { mark: 0x4000 }));
  assert.ok(matches([meta('iifname'), cmp('65746830')], { iif: 'eth0' }), 'a beginning is enough');
  assert.ok(!matches([meta('oifname'), cmp('65746830'.padEnd(32, '0'))], { oif: 'eth01' }));
  const state: NftExpr = { expr: 'ct', key: 'state', dreg: 8 };
  assert.ok(matches([state, cmp('08000000')]) && matches([state, cmp('04000000')], { state: 'related' }));
  const original: NftExpr = { expr: 'ct', key: 'dst-ip', direction: 'original', dreg: 8 };
  assert.ok(matches([original, cmp('0a600001')], { original: { to: '10.96.0.1' as Ip } }));
  assert.ok(!matches([original, cmp('0a000002')], { state: 'invalid' }), 'there is no entry to ask');
  const local: NftExpr = { expr: 'fib', result: 'type', flags: ['saddr'], dreg: 8 };
  assert.ok(matches([local, cmp('02000000')], { local: ['10.0.0.1'] }) && matches([local, cmp('01000000')]));
});

test('sets: exact keys, ranges, concatenations, inverted; verdict maps tell the comment of their element', () => {
  const port: NftExpr = { expr: 'payload', base: 'transport', offset: 2, length: 2, dreg: 9 };
  const daddr: NftExpr = { expr: 'payload', base: 'network', offset: 16, length: 4, dreg: 8 };
  const set = (name: string, more: Partial<NftSet> = {}): NftSet => ({
    kind: 'set',
    name,
    key: ['ipv4_addr', 'inet_service'],
    interval: false,
    ...more,
  });
  const element = (set: string, ...key: string[]): NftBody => ({ kind: 'element', set, key });
  const lookup = (name: string, invert = false): NftExpr => ({ expr: 'lookup', set: name, sreg: 8, invert });
  const exact = [set('exact'), element('exact', '10.0.0.2', '80')];
  assert.ok(matches([daddr, port, lookup('exact')], {}, exact));
  assert.ok(!matches([daddr, port, lookup('exact')], { dport: 81 }, exact));
  assert.ok(matches([daddr, port, lookup('exact', true)], { dport: 81 }, exact));
  const ranges = [set('ranges', { interval: true }), element('ranges', '10.0.0.0/30', '80-90')];
  assert.ok(matches([daddr, port, lookup('ranges')], { dport: 90, to: '10.0.0.3' as Ip }, ranges));
  assert.ok(!matches([daddr, port, lookup('ranges')], { dport: 91 }, ranges));
  assert.ok(!matches([daddr, port, lookup('ranges')], { to: '10.0.0.4' as Ip }, ranges));
  const map = set('map', { key: ['ipv4_addr'], value: 'verdict' });
  const value: NftBody = {
    kind: 'element',
    set: 'map',
    key: ['10.0.0.2'],
    value: { verdict: 'goto', chain: 'pod' },
    comment: 'x/a',
  };
  const pod = chain('pod', [rule('its rule', said('drop'))]);
  const dispatch = rule('dispatch', daddr, { expr: 'lookup', set: 'map', sreg: 8, dreg: 0 });
  const bodies = [map, value, pod, base('b', [dispatch, rule('nobody', said('accept'))])];
  assert.equal(walk(bodies).by, 'its rule');
  assert.equal(walk(bodies, { to: '10.0.0.9' as Ip }).by, 'nobody');
  const accepting: NftBody = { ...value, value: { verdict: 'accept' } };
  assert.equal(walk([map, accepting, base('b', [dispatch])]).by, 'x/a');
  assert.throws(() => matches([daddr, lookup('nowhere')]), /no set nowhere/);
});

test('logs are kept, a refusal is a verdict of its own, and nothing unknown is passed over', () => {
  const log: NftExpr = { expr: 'log', prefix: 'told', group: 1 };
  const over: NftExpr = { expr: 'limit', rate: 1, unit: 1, burst: 5, over: true };
  const refuse: NftExpr = { expr: 'reject', type: 'icmpx', code: 3 };
  const passage = walk([
    base('b', [rule('', over, said('accept')), rule('', log), rule('no', { expr: 'counter' }, refuse)]),
  ]);
  assert.deepEqual([passage.verdict, passage.by, passage.logs], ['rejected', 'no', ['told']]);
  assert.throws(() => matches([{ expr: 'numgen', type: 'random', modulus: 2, dreg: 8 }]), /numgen/);
  assert.throws(() => matches([{ expr: 'meta', key: 'cgroup', dreg: 8 }]), /meta cgroup/);
  assert.throws(
    () => matches([{ expr: 'payload', base: 'link', offset: 0, length: 6, dreg: 8 }]),
    /link header/,
  );
});

test('rows of other targets are no part of the table', () => {
  const row: Row = { target: 'nft', key: nftChainKey('c'), body: chain('c', []), why: '' };
  const file: Row = { target: 'file', key: '/x', body: { path: '/x', mode: 0o644, content: '' }, why: '' };
  assert.deepEqual([...tableView([row, file]).chains.keys()], ['c']);
});
