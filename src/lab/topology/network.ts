import { splitPrefix } from '../../model/net/cidr.ts';
import { familyOf } from '../../model/net/ip.ts';
import { inNetns, must } from '../run.ts';
import { NetNs } from '../sockets/netns.ts';
import {
  gatewayOf,
  nodeAddresses,
  outsideAddress,
  type Router,
  type Segment,
  segmentNamed,
  type Topology,
  type TopologyNode,
} from './topology.ts';

/** Link of every node and of `outside` towards its segment. */
export const UNDERLAY_LINK = 'eth0';
export const OUTSIDE = 'outside';

/** A machine as it is after a boot: nothing forwards, no router is believed, addresses work at once. */
const FRESH = {
  'net/ipv4/ip_forward': '0',
  'net/ipv4/conf/all/rp_filter': '0',
  'net/ipv4/conf/default/rp_filter': '0',
};
const FRESH_V6 = {
  'net/ipv6/conf/all/forwarding': '0',
  'net/ipv6/conf/default/accept_ra': '0',
  'net/ipv6/conf/all/accept_ra': '0',
  'net/ipv6/conf/default/accept_dad': '0',
  'net/ipv6/conf/all/accept_dad': '0',
};
const FORWARDS = { 'net/ipv4/ip_forward': '1' };
const FORWARDS_V6 = { 'net/ipv6/conf/all/forwarding': '1' };

/** The wires, routers and machines of a topology: a namespace each, built in three rounds of `ip -batch`. */
export class Network {
  #topology: Topology;
  readonly #namespaces = new Map<string, NetNs>();

  constructor(topology: Topology) {
    this.#topology = topology;
  }

  get topology(): Topology {
    return this.#topology;
  }

  ns(name: string): NetNs {
    let ns = this.#namespaces.get(name);
    if (!ns) {
      ns = new NetNs(name);
      this.#namespaces.set(name, ns);
    }
    return ns;
  }

  forget(name: string): void {
    this.#namespaces.get(name)?.close();
    this.#namespaces.delete(name);
  }

  async build(): Promise<void> {
    const { segments, routers, nodes, outside } = this.topology;
    const machines = [...routers, ...nodes].map((m) => m.name).concat(outside ? [OUTSIDE] : []);
    const names = [...segments.map((s) => s.name), ...machines];
    const cables = [
      ...routers.flatMap((router) => router.segments.map((segment) => cable(router.name, segment, segment))),
      ...nodes.map((node) => cable(node.name, UNDERLAY_LINK, node.segment)),
      ...(outside ? [cable(OUTSIDE, UNDERLAY_LINK, outside.segment)] : []),
    ];
    await must(['ip', '-batch', '-'], {
      input: lines([...names.map((name) => `netns add ${name}`)]),
    });
    for (const machine of machines) this.#fresh(machine);
    await must(['ip', '-batch', '-'], { input: lines(cables) });
    await Promise.all([
      ...segments.map((segment) => this.#segment(segment)),
      ...routers.map((router) => this.#router(router)),
      ...nodes.map((node) => this.configureNode(node)),
      ...(outside ? [this.#outside(outside.segment)] : []),
    ]);
  }

  /** Plugs one more machine in. */
  async add(node: TopologyNode, topology: Topology): Promise<void> {
    this.#topology = topology;
    await must(['ip', '-batch', '-'], { input: lines([`netns add ${node.name}`]) });
    this.#fresh(node.name);
    await must(['ip', '-batch', '-'], { input: lines([cable(node.name, UNDERLAY_LINK, node.segment)]) });
    const port = portName(node.name, UNDERLAY_LINK);
    const { mtu } = segmentNamed(this.topology, node.segment);
    await must(inNetns(node.segment, ['ip', '-batch', '-']), {
      input: lines([`link set dev ${port} mtu ${mtu} master br0 up`]),
    });
    await this.configureNode(node);
  }

  /** Unplugs a machine: with its namespace go its links. */
  async remove(name: string): Promise<void> {
    this.forget(name);
    await must(['ip', 'netns', 'delete', name]);
  }

  /** Addresses and default routes of a node's underlay link, as the machine's own network setup gives and restores them. */
  async configureNode(node: TopologyNode): Promise<void> {
    const segment = segmentNamed(this.topology, node.segment);
    const addresses = nodeAddresses(this.topology).get(node.name) ?? [];
    if (node.sysctls) this.ns(node.name).sysctls(node.sysctls);
    await must(inNetns(node.name, ['ip', '-batch', '-']), {
      input: lines([
        'link set dev lo up',
        `link set dev ${UNDERLAY_LINK} mtu ${segment.mtu} up`,
        ...addresses.map((a) => `address replace ${a} dev ${UNDERLAY_LINK}${nodad(a)}`),
        ...this.#routed(segment).map((cidr) => `route replace ${defaultRoute(cidr)}`),
      ]),
    });
  }

  #fresh(name: string): void {
    this.ns(name).sysctls({ ...FRESH, ...(this.#v6 ? FRESH_V6 : {}) });
  }

  get #v6(): boolean {
    return this.topology.families.includes('ipv6');
  }

  /** Prefixes of a segment that has a router. */
  #routed(segment: Segment): readonly string[] {
    return this.topology.routers.some((r) => r.segments.includes(segment.name)) ? segment.cidrs : [];
  }

  async #segment({ name, mtu }: Segment): Promise<void> {
    const { routers, nodes, outside } = this.topology;
    const ports = [
      ...routers.filter((r) => r.segments.includes(name)).map((r) => portName(r.name, name)),
      ...nodes.filter((n) => n.segment === name).map((n) => portName(n.name, UNDERLAY_LINK)),
      ...(outside?.segment === name ? [portName(OUTSIDE, UNDERLAY_LINK)] : []),
    ];
    await must(inNetns(name, ['ip', '-batch', '-']), {
      input: lines([
        // Multicast snooping would hold neighbour discovery back until a querier spoke.
        `link add name br0 mtu ${mtu} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`,
        'link set dev br0 up',
        ...ports.map((port) => `link set dev ${port} mtu ${mtu} master br0 up`),
      ]),
    });
  }

  async #router(router: Router): Promise<void> {
    const commands = router.segments.flatMap((name) => {
      const segment = segmentNamed(this.topology, name);
      return [
        `link set dev ${name} mtu ${segment.mtu} up`,
        ...segment.cidrs.map((cidr) => {
          const address = `${gatewayOf(cidr)}/${splitPrefix(cidr).length}`;
          return `address add ${address} dev ${name}${nodad(address)}`;
        }),
      ];
    });
    this.ns(router.name).sysctls({ ...FORWARDS, ...(this.#v6 ? FORWARDS_V6 : {}) });
    await must(inNetns(router.name, ['ip', '-batch', '-']), {
      input: lines(['link set dev lo up', ...commands]),
    });
  }

  async #outside(name: string): Promise<void> {
    const segment = segmentNamed(this.topology, name);
    await must(inNetns(OUTSIDE, ['ip', '-batch', '-']), {
      input: lines([
        'link set dev lo up',
        `link set dev ${UNDERLAY_LINK} mtu ${segment.mtu} up`,
        ...segment.cidrs.flatMap((cidr) => {
          const address = `${outsideAddress(cidr)}/${splitPrefix(cidr).length}`;
          return [`address add ${address} dev ${UNDERLAY_LINK}${nodad(address)}`];
        }),
        ...this.#routed(segment).map((cidr) => `route add ${defaultRoute(cidr)}`),
      ]),
    });
  }
}

const lines = (commands: readonly string[]): string => `${commands.join('\n')}\n`;

const portName = (machine: string, link: string): string =>
  link === UNDERLAY_LINK ? machine : `${machine}-${link}`.slice(0, 15);

const cable = (machine: string, link: string, segment: string): string =>
  `link add name ${link} netns ${machine} type veth peer name ${portName(machine, link)} netns ${segment}`;

const nodad = (address: string): string => (familyOf(address) === 'ipv6' ? ' nodad' : '');

const defaultRoute = (cidr: string): string =>
  `${familyOf(cidr) === 'ipv6' ? '::/0' : '0.0.0.0/0'} via ${gatewayOf(cidr)} dev ${UNDERLAY_LINK}`;
