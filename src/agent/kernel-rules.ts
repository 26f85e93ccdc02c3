import type { WhyStep } from '../model/api.ts';
import { describe } from '../model/errors.ts';
import { familyOf } from '../model/net/ip.ts';
import type { Row } from '../model/rows/row.ts';
import type { World } from '../model/world.ts';
import type { Packet } from '../plan/nft/walk/packet.ts';
import { type NftTableView, tableView, walkPacket } from '../plan/nft/walk/packets.ts';
import { baseChain } from '../plan/policy/render/names.ts';
import type { RulesQuestion } from '../plan/why/path.ts';
import type { NetlinkTransport } from '../targets/linux/netlink/transport.ts';
import { nftTarget } from '../targets/linux/nft.ts';

/** The rules that are in the kernel now, read back once, and what they do with the first packet of a connection. */
export class KernelRules {
  readonly #netfilter: NetlinkTransport;
  readonly #world: World;
  #table: Promise<NftTableView> | undefined;

  constructor(netfilter: NetlinkTransport, world: World) {
    this.#netfilter = netfilter;
    this.#world = world;
  }

  /** A mismatch where they do not do what the policies say. */
  async ask(question: RulesQuestion): Promise<NonNullable<WhyStep['kernel']>> {
    const { direction, hook, allowed } = question;
    try {
      this.#table ??= readRules(this.#netfilter);
      const table = await this.#table;
      const base = baseChain(hook, direction);
      if (!table.chains.has(base))
        return { text: `nft has no chain ${base}: nothing is denied`, mismatch: !allowed };
      // Of the hook's other chains each has its own say; this is about one.
      const chains = new Map([...table.chains].filter(([name, chain]) => !chain.hook || name === base));
      const { verdict, by, decisions } = walkPacket({ ...table, chains }, packetOf(question, this.#world));
      const where = decisions.at(-1)?.chain ?? base;
      const text = `nft ${base}: ${verdict} in chain ${where}${by === '' ? '' : ` (${by})`}`;
      return { text, mismatch: (verdict === 'accepted') !== allowed };
    } catch (error) {
      return { text: `the rules cannot be followed: ${describe(error)}`, mismatch: false };
    }
  }
}

async function readRules(netfilter: NetlinkTransport): Promise<NftTableView> {
  // A target of its own: the agent's must not take this for its own observation.
  const found = await nftTarget(netfilter, 'inet').observe();
  return tableView([...found].map(([key, body]): Row => ({ target: 'nft', key, body, why: '' })));
}

function packetOf({ flow, hook }: RulesQuestion, world: World): Packet {
  const { from, to, protocol, port } = flow;
  const links = [...world.links.objects.values()];
  const local = links.flatMap(({ addresses }) => addresses.map((text) => text.slice(0, text.indexOf('/'))));
  return {
    hook,
    from,
    to,
    protocol: protocolOf(protocol, from),
    ...(port !== undefined && { dport: port }),
    local,
  };
}

const NAMES = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const;

function protocolOf(protocol: RulesQuestion['flow']['protocol'], from: string): Packet['protocol'] {
  if (typeof protocol !== 'number') return NAMES[protocol];
  if (protocol === 1 && familyOf(from) === 'ipv4') return 'icmp';
  return protocol === 58 ? 'icmpv6' : protocol;
}
