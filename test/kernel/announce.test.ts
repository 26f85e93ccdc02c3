/** A pod's address goes to another pod: the node and its neighbours on the bridge send to the new one from the moment of its birth. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../../src/lab/client.ts';
import { NetNs } from '../../src/lab/sockets/netns.ts';
import { ip } from './rt-laws.ts';

const PLUGIN = join(import.meta.dirname, '../../dist/fairlead-cni');
const BRIDGE = 'fairlead0';
const GONE = '02:00:00:00:00:07';
const MAC = '02:00:00:00:00:08';
const IPS = ['10.244.1.7', 'fd00:244:1::7'];
const RESULT = JSON.stringify({ cniVersion: '1.0.0', ips: IPS.map((address) => ({ address })) });
const CONF = `{"cniVersion":"1.0.0","name":"fairlead","type":"fairlead","prevResult":${RESULT}}`;

test('everyone who knew the former owner of an address is told of the new one, and nobody else', async () => {
  node();
  pod('knows', '02:00:00:00:00:02', ['10.244.1.2/24', 'fd00:244:1::2/64']);
  pod('stranger', '02:00:00:00:00:03', ['10.244.1.3/24', 'fd00:244:1::3/64']);
  pod('born', MAC, ['10.244.1.7/24', 'fd00:244:1::7/64']);
  for (const address of IPS) {
    ip('neigh', 'replace', address, 'lladdr', GONE, 'dev', BRIDGE, 'nud', 'reachable');
    ip('-n', 'knows', 'neigh', 'replace', address, 'lladdr', GONE, 'dev', 'eth0', 'nud', 'reachable');
  }
  assert.equal(add('/run/netns/born'), RESULT);
  await eventually(() => {
    for (const address of IPS) {
      assert.equal(macOf(address, BRIDGE), MAC);
      assert.equal(macOf(address, 'eth0', 'knows'), MAC);
      assert.equal(macOf(address, 'eth0', 'stranger'), undefined);
    }
  });
});

function node(): void {
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  ip('netns', 'attach', 'node', String(process.pid));
  ip('link', 'add', BRIDGE, 'type', 'bridge');
  ip('addr', 'add', '10.244.1.1/24', 'dev', BRIDGE);
  ip('addr', 'add', 'fd00:244:1::1/64', 'dev', BRIDGE, 'nodad');
  ip('link', 'set', BRIDGE, 'up');
}

function pod(name: string, mac: string, addresses: readonly string[]): void {
  ip('netns', 'add', name);
  new NetNs(name).sysctls({ 'net/ipv6/conf/all/accept_dad': '0' });
  ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'address', mac, 'netns', name);
  ip('link', 'set', name, 'master', BRIDGE, 'up');
  for (const address of addresses)
    ip('-n', name, 'addr', 'add', address, 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : []));
  ip('-n', name, 'link', 'set', 'eth0', 'up');
}

function add(netns: string): string {
  const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c0ffee', CNI_NETNS: netns, CNI_IFNAME: 'eth0' };
  return execFileSync(PLUGIN, { env, input: CONF, encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'] });
}

function macOf(address: string, link: string, at = 'node'): string | undefined {
  const [entry] = JSON.parse(ip('-n', at, '-j', 'neigh', 'show', address, 'dev', link));
  return entry?.lladdr;
}
