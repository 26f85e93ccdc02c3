import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIG } from '../../../../test/support/plan-worlds.ts';
import type { Config } from '../../../model/cluster/config.ts';
import { cidr } from '../../../model/net/cidr.ts';
import { familyOf, type Ip } from '../../../model/net/ip.ts';
import { nftElementKey } from '../../../model/rows/nft.ts';
import type { Row } from '../../../model/rows/row.ts';
import { tunnelNodes } from '../../nft/tunnel.ts';
import type { Packet } from '../../nft/walk/packet.ts';
import { tableView, walkPacket } from '../../nft/walk/packets.ts';
import type { PodLinks } from '../../nodes/pod-links.ts';
import { baseRows } from './render.ts';

const settings = CONFIG.policy;
const PODS = { bridges: ['fairlead0'], pairs: false };

test('an established connection costs one test a base chain', () => {
  const table = tableView(
    baseRows({
      config: CONFIG,
      podCidrs: [cidr('10.244.1.0/24')],
      addresses: [],
      pods: PODS,
      missing: {},
    }).rows,
  );
  const passage = walkPacket(table, {
    hook: 'forward',
    from: '10.244.1.2' as Ip,
    to: '10.0.0.1' as Ip,
    protocol: 'tcp',
    state: 'established',
  });
  assert.deepEqual(
    passage.decisions.map(({ base, chain, verdict }) => [base, chain, verdict]),
    [
      ['policy-forward-egress', 'policy-forward-egress', 'accepted'],
      ['policy-forward-ingress', 'policy-forward-ingress', 'accepted'],
    ],
  );
  assert.deepEqual(
    passage.decisions.map(({ by }) => by),
    ['policy of the base chain', 'policy of the base chain'],
    'no rule matches, not even one that accepts',
  );
  const first = 'all but replies, and errors about them';
  for (const chain of table.chains.values())
    if (chain.hook) assert.deepEqual(comments(table, chain.name), [first]);
});

test("what the node sends from its Node's addresses passes without a question to the routing tables", () => {
  const addresses = ['10.0.0.1', '2001:db8::1'] as Ip[];
  const { rows } = baseRows({
    config: CONFIG,
    podCidrs: [cidr('10.244.1.0/24')],
    addresses,
    pods: PODS,
    missing: {},
  });
  const send = (from: string, local: readonly string[]) =>
    walkPacket(tableView(rows), {
      hook: 'output',
      from: from as Ip,
      to: '10.244.1.2' as Ip,
      protocol: 'udp',
      local,
    }).decisions.map(({ by }) => by);
  // Nothing is local here as far as the routing tables are concerned: only the first rule can have let it through.
  assert.deepEqual(send('10.0.0.1', []), ["the node's own traffic", "the node's own traffic"]);
  assert.ok(!send('10.0.0.9', []).includes("the node's own traffic"));
});

const comments = (table: ReturnType<typeof tableView>, name: string) =>
  table.chains.get(name)?.rules.map(({ comment }) => comment);

test('what nodes send to the tunnel is not judged, tracked or not; packets of pods are, whatever their source', () => {
  const nodes: Row[] = (['10.0.0.2', '2001:db8::2'] as const).map((ip) => {
    const set = tunnelNodes(familyOf(ip));
    return {
      target: 'nft',
      key: nftElementKey(set, [ip]),
      body: { kind: 'element', set, key: [ip] },
      why: '',
    };
  });
  const judge = (config: Config, more: Partial<Packet>, pods: PodLinks = PODS) => {
    const rows = baseRows({
      config,
      podCidrs: [cidr('10.244.1.0/24')],
      addresses: [],
      pods,
      missing: {},
    }).rows;
    const packet = {
      hook: 'input',
      from: '10.0.0.2' as Ip,
      to: '10.0.0.1' as Ip,
      protocol: 'udp',
      dport: 8472,
      state: 'new',
      iif: 'eth0',
      local: ['10.0.0.1'],
    } as const;
    return walkPacket(tableView([...rows, ...nodes]), { ...packet, ...more }).by;
  };
  const passes = 'from node to node: judged when it is unpacked';
  const bridged = { ...CONFIG, transport: 'vxlan' } as const;
  const all = { bridges: ['fairlead0', 'kube-bridge'], pairs: true };
  const v6 = { from: '2001:db8::2' as Ip, to: '2001:db8::1' as Ip };
  for (const family of [{}, v6]) {
    for (const pods of [PODS, all, { bridges: [], pairs: false }])
      for (const state of ['new', 'untracked'] as const)
        assert.equal(judge(bridged, { ...family, state }, pods), passes);
    assert.equal(judge(bridged, { ...family, iif: 'fairlead0' }), 'no known pod has this address', 'forged');
    for (const iif of ['fairlead0', 'kube-bridge', 'veth1234'])
      assert.notEqual(judge(bridged, { ...family, iif }, all), passes, iif);
    for (const more of [{ dport: 53 }, { protocol: 'tcp' }] as const)
      assert.notEqual(judge(bridged, { ...family, ...more }, all), passes, JSON.stringify(more));
  }
  assert.notEqual(judge(bridged, { from: '10.0.0.9' as Ip }), passes, 'no node');
  assert.notEqual(judge({ ...bridged, transport: 'layer2' }, {}), passes);
});

test('what a node sends into the tunnel passes OUTPUT before all else, and only that', () => {
  const addresses = ['10.0.0.1', '2001:db8::1'] as Ip[];
  const config = { ...CONFIG, transport: 'vxlan' } as const;
  const rules = (config: Config) =>
    tableView(baseRows({ config, podCidrs: [], addresses, pods: PODS, missing: {} }).rows).chains.get(
      'policy-output-egress-first',
    )?.rules ?? [];
  assert.equal(rules(config).length, rules({ ...config, transport: 'layer2' }).length + 2);
  const decided = (more: Partial<Packet>) =>
    walkPacket(tableView(baseRows({ config, podCidrs: [], addresses, pods: PODS, missing: {} }).rows), {
      hook: 'output',
      from: '10.0.0.1' as Ip,
      to: '10.0.0.2' as Ip,
      protocol: 'udp',
      dport: 8472,
      state: 'new',
      local: [],
      ...more,
    }).decisions[0]?.by;
  const own = "the node's own traffic";
  assert.equal(decided({}), own);
  assert.equal(decided({ from: '2001:db8::1' as Ip, to: '2001:db8::2' as Ip }), own);
  assert.notEqual(decided({ from: '10.244.9.9' as Ip }), own);
});

test('settings: reject, no log, unknown pods open', () => {
  const base = (more: Partial<typeof settings>) =>
    baseRows({
      config: { ...CONFIG, policy: { ...settings, ...more } },
      podCidrs: [cidr('10.244.1.0/24')],
      addresses: [],
      pods: PODS,
      missing: {},
    }).rows;
  const has = (rows: readonly Row[], text: string) => JSON.stringify(rows).includes(text);
  assert.ok(has(base({ denied: 'reject' }), '"tcp-reset"') && !has(base({ denied: 'drop' }), '"reject"'));
  assert.ok(has(base({}), '"log"') && !has(base({ logRate: 0 }), '"log"'));
  assert.ok(has(base({}), 'policy-unknown-ingress') && !has(base({ unknownPods: 'open' }), 'unknown'));
});
