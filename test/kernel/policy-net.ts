/**
 * A node with real network namespaces around it, in which policy is tried with real packets:
 *
 *     a 10.244.1.2 ┐
 *     b 10.244.1.3 ┤ bridge fairlead0 10.244.1.1 ─ this namespace ("node") ─ eth0 192.0.2.1 ── outside 192.0.2.9, remote 10.244.2.5
 *     c 10.244.1.4 ┘                                                                            (a pod of another node)
 *
 * IPv6 likewise: fd00:244:1::2 …, 2001:db8::9, fd00:244:2::5. Everybody answers on 8080 and 8081.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { probe } from '../../src/lab/prober/probe.ts';
import { Responder } from '../../src/lab/prober/responder.ts';
import type { Verdict } from '../../src/lab/prober/types.ts';
import { NetNs } from '../../src/lab/sockets/netns.ts';
import { FAMILIES, type Family, type Ip } from '../../src/model/net/ip.ts';
import { ip, ipBatch } from './rt-laws.ts';

export const PARTIES = ['a', 'b', 'c', 'node', 'outside', 'remote'] as const;
export type Party = (typeof PARTIES)[number];

export const ADDRESS: Readonly<Record<Party, Readonly<Record<Family, Ip>>>> = {
  a: { ipv4: '10.244.1.2' as Ip, ipv6: 'fd00:244:1::2' as Ip },
  b: { ipv4: '10.244.1.3' as Ip, ipv6: 'fd00:244:1::3' as Ip },
  c: { ipv4: '10.244.1.4' as Ip, ipv6: 'fd00:244:1::4' as Ip },
  node: { ipv4: '10.244.1.1' as Ip, ipv6: 'fd00:244:1::1' as Ip },
  outside: { ipv4: '192.0.2.9' as Ip, ipv6: '2001:db8::9' as Ip },
  remote: { ipv4: '10.244.2.5' as Ip, ipv6: 'fd00:244:2::5' as Ip },
};
/** Addresses of this node: what `fib` calls local. */
export const LOCAL: readonly string[] = [
  ADDRESS.node.ipv4,
  ADDRESS.node.ipv6,
  '192.0.2.1',
  '2001:db8::1',
  '127.0.0.1',
  '::1',
];
export const PODS = ['a', 'b', 'c'] as const;
export const BRIDGE = 'fairlead0';
const PORTS = [8080, 8081];

export class PolicyNet {
  readonly #namespaces = new Map<Party, NetNs>();
  readonly #responders: Responder[] = [];

  static async make(): Promise<PolicyNet> {
    assert.notEqual(readlinkSync('/proc/self/ns/mnt'), ownersMounts(), 'run this under unshare -nm');
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
    const net = new PolicyNet();
    ip('netns', 'attach', 'node', String(process.pid));
    for (const name of [...PODS, 'outside', 'remote']) ip('netns', 'add', name);
    for (const name of PARTIES) {
      const namespace = new NetNs(name);
      net.#namespaces.set(name, namespace);
      // Link-local addresses can be used at once.
      namespace.sysctls({ 'net/ipv6/conf/default/accept_dad': '0', 'net/ipv6/conf/all/accept_dad': '0' });
    }
    net.#lay();
    for (const party of PARTIES) {
      const ports = PORTS.flatMap((port) => [
        { protocol: 'tcp' as const, port },
        { protocol: 'udp' as const, port },
      ]);
      net.#responders.push(await Responder.start(net.namespace(party), FAMILIES, ports));
    }
    return net;
  }

  #lay(): void {
    this.namespace('node').sysctls({
      'net/ipv4/ip_forward': '1',
      'net/ipv6/conf/all/forwarding': '1',
      'net/bridge/bridge-nf-call-iptables': '1',
      'net/bridge/bridge-nf-call-ip6tables': '1',
    });
    ipBatch([
      'link set lo up',
      `link add ${BRIDGE} type bridge`,
      `addr add 10.244.1.1/24 dev ${BRIDGE}`,
      `addr add fd00:244:1::1/64 dev ${BRIDGE} nodad`,
      `link set ${BRIDGE} up`,
    ]);
    for (const pod of PODS) {
      ipBatch([
        `link add veth${pod} type veth peer name eth0 netns ${pod}`,
        `link set veth${pod} master ${BRIDGE} up`,
      ]);
      this.#end(pod, 'eth0', [24, 64]);
      this.#inside(pod, ['route add default via 10.244.1.1', '-6 route add default via fd00:244:1::1']);
    }
    ipBatch([
      'link add eth0 type veth peer name eth0 netns outside',
      'addr add 192.0.2.1/24 dev eth0',
      'addr add 2001:db8::1/64 dev eth0 nodad',
      'link set eth0 up',
      'link add eth1 type veth peer name eth0 netns remote',
      'addr add fe80::1/64 dev eth1 nodad',
      'link set eth1 up',
      `route add ${ADDRESS.remote.ipv4} dev eth1`,
      `route add ${ADDRESS.remote.ipv6} dev eth1`,
    ]);
    this.#end('outside', 'eth0', [24, 64]);
    this.#inside('outside', ['route add default via 192.0.2.1', '-6 route add default via 2001:db8::1']);
    this.#end('remote', 'eth0', [32, 128]);
    this.#inside('remote', [
      'route add 192.0.2.1 dev eth0',
      'route add default via 192.0.2.1 dev eth0',
      '-6 route add default via fe80::1 dev eth0',
    ]);
  }

  #end(party: Party, link: string, [v4, v6]: readonly [number, number]): void {
    this.#inside(party, [
      'link set lo up',
      `addr add ${ADDRESS[party].ipv4}/${v4} dev ${link}`,
      `addr add ${ADDRESS[party].ipv6}/${v6} dev ${link} nodad`,
      `link set ${link} up`,
    ]);
  }

  #inside(party: Party, lines: readonly string[]): void {
    for (const line of lines) ip('-n', party, ...line.split(' '));
  }

  namespace(party: Party): NetNs {
    const found = this.#namespaces.get(party);
    assert.ok(found, party);
    return found;
  }

  /** What becomes of a first packet, as the sender sees it. */
  async ask(
    from: Party,
    address: string,
    protocol: 'tcp' | 'udp' | 'icmp',
    port: number,
    timeout: number,
  ): Promise<Verdict> {
    const { verdict } = await probe(this.namespace(from), { address, protocol, port, timeout });
    return verdict;
  }

  close(): void {
    for (const responder of this.#responders) responder.close();
    for (const namespace of this.#namespaces.values()) namespace.close();
  }
}

/** The mount namespace of the process that started us all, if we may know it. */
function ownersMounts(): string | undefined {
  try {
    return readlinkSync('/proc/1/ns/mnt');
  } catch {
    return undefined;
  }
}
