/** Connection tracking (linux/netfilter/nfnetlink_conntrack.h): listing entries and deleting some. */
import { type Family, familyOf, type Ip } from '../../../../model/net/ip.ts';
import {
  afterHeader,
  attributes,
  be16,
  be32,
  encode,
  ip,
  type NetlinkMessage,
  nested,
  u8,
  u32,
  type Values,
} from '../attributes.ts';
import { AF_INET, AF_INET6, AF_UNSPEC, NLM_F_DUMP, NLM_F_REQUEST } from '../constants.ts';
import type { NetlinkOutcome, NetlinkTransport } from '../transport.ts';
import { BadNetlink } from '../writer.ts';

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = (NFNL_SUBSYS_CTNETLINK << 8) | 1;
const IPCTNL_MSG_CT_DELETE = (NFNL_SUBSYS_CTNETLINK << 8) | 2;
const IPCTNL_MSG_CT_GET_STATS = (NFNL_SUBSYS_CTNETLINK << 8) | 5;
const NFGEN_HEADER = 4;
const FAMILY_NUMBERS = { ipv4: AF_INET, ipv6: AF_INET6, both: AF_UNSPEC } as const;
/** IPS_SRC_NAT and IPS_DST_NAT of nf_conntrack_common.h */
const SRC_NAT = 1 << 4;
const DST_NAT = 1 << 5;

/** CTA_TUPLE_…; what ICMP has instead of ports stays as it came, deletion needs it. */
const TUPLE = attributes({
  addresses: [
    1,
    nested(attributes({ source4: [1, ip], destination4: [2, ip], source6: [3, ip], destination6: [4, ip] })),
  ],
  protocol: [
    2,
    nested(
      attributes({
        number: [1, u8],
        sourcePort: [2, be16],
        destinationPort: [3, be16],
        icmpId: [4, be16],
        icmpType: [5, u8],
        icmpCode: [6, u8],
        icmp6Id: [7, be16],
        icmp6Type: [8, u8],
        icmp6Code: [9, u8],
      }),
    ),
  ],
  zone: [3, be16],
});
/** CTA_… */
const FLOW = attributes({
  original: [1, nested(TUPLE)],
  reply: [2, nested(TUPLE)],
  status: [3, be32],
  timeout: [7, be32],
  mark: [8, be32],
  id: [12, be32],
  zone: [18, be16],
  /** CTA_FILTER: which fields of the two tuples a dump compares; Linux before 5.8 takes no notice and lists all. */
  filter: [25, nested(attributes({ original: [1, u32], reply: [2, u32] }))],
});
/** CTA_FILTER_F_CTA_IP_SRC and _DST of net/netfilter/nf_internals.h */
const BY_SOURCE = 1 << 0;
const BY_DESTINATION = 1 << 1;

/** One direction of a connection. Ports are 0 for protocols without. */
export interface FlowEnd {
  readonly source: Ip;
  readonly destination: Ip;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface Flow {
  /** IP protocol number. */
  readonly protocol: number;
  /** As the first packet was sent. */
  readonly original: FlowEnd;
  /** As answers come: after address translation its source is who really serves. */
  readonly reply: FlowEnd;
  readonly translated: { readonly source: boolean; readonly destination: boolean };
  readonly mark: number;
  readonly zone: number;
  /** Seconds until the entry expires. */
  readonly timeout: number;
  /** Tells it from an earlier entry of the same addresses and ports. */
  readonly id: number;
  /** Original tuple as the kernel wrote it. */
  readonly tuple: Values<typeof TUPLE>;
}

/** All entries of both families. */
export function listFlows(nl: NetlinkTransport): Promise<Flow[]> {
  return readFlows(nl, 'both', flowOf);
}

/** CTA_STATS_GLOBAL_… */
const STATS = attributes({ entries: [1, be32] });

/** How many entries there are. */
export async function countFlows(nl: NetlinkTransport): Promise<number> {
  const read = (reply: NetlinkMessage) =>
    STATS.read(reply.bytes, afterHeader(reply, NFGEN_HEADER), reply.end, {}).entries;
  const [entries = 0] = await nl.request(
    encode(IPCTNL_MSG_CT_GET_STATS, NLM_F_REQUEST, header(AF_UNSPEC)),
    read,
  );
  return entries;
}

/** What `read` makes of the entries of one family, or of both. */
export function readFlows<T>(
  nl: NetlinkTransport,
  family: Family | 'both',
  read: (reply: NetlinkMessage) => T | undefined,
): Promise<T[]> {
  const head = header(FAMILY_NUMBERS[family]);
  return nl.dump(encode(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, head), read);
}

export type FlowDirection = 'original' | 'reply';

/**
 * Entries that have the IPv4 address at this end of this direction. The kernel picks them: it still walks its whole table, but tells little.
 * Of IPv6 addresses it picks just those that are different (ctnetlink_filter_match_tuple, seen in Linux 6.18).
 */
export async function listFlowsAt(
  nl: NetlinkTransport,
  address: Ip,
  direction: FlowDirection,
  end: 'source' | 'destination',
): Promise<Flow[]> {
  const question = {
    [direction]: { addresses: { [`${end}4`]: address } },
    filter: { [direction]: end === 'source' ? BY_SOURCE : BY_DESTINATION },
  };
  const message = encode(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, header(AF_INET), FLOW, question);
  return (await nl.dump(message, flowOf)).filter((flow) => flow[direction][end] === address);
}

/** Deletes these very entries: a newer one of the same addresses and ports stays. One that is gone already is refused with ENOENT. */
export function deleteFlows(
  nl: NetlinkTransport,
  flows: readonly Flow[],
): Promise<readonly NetlinkOutcome[]> {
  return nl.transact(
    flows.map(({ original, tuple, id, zone }) => {
      const family = familyOf(original.source) === 'ipv4' ? AF_INET : AF_INET6;
      return encode(IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST, header(family), FLOW, {
        original: tuple,
        id,
        ...(zone !== 0 && { zone }),
      });
    }),
  );
}

/** What must be the same; what is absent may be anything. */
export interface FlowFilter {
  readonly protocol?: number;
  readonly source?: string;
  readonly destination?: string;
  readonly destinationPort?: number;
  readonly replySource?: string;
  readonly zone?: number;
}

export function flowMatches(filter: FlowFilter, flow: Flow): boolean {
  const is = <T>(wanted: T | undefined, found: T) => wanted === undefined || wanted === found;
  return (
    is(filter.protocol, flow.protocol) &&
    is(filter.source, flow.original.source) &&
    is(filter.destination, flow.original.destination) &&
    is(filter.destinationPort, flow.original.destinationPort) &&
    is(filter.replySource, flow.reply.source) &&
    is(filter.zone, flow.zone)
  );
}

/** Reads one entry; `undefined` for families other than IP. Throws `BadNetlink`. */
export function flowOf(reply: NetlinkMessage): Flow | undefined {
  const found = FLOW.read(reply.bytes, afterHeader(reply, NFGEN_HEADER), reply.end, {});
  const family = reply.bytes.readUInt8(reply.start);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  if (found.original === undefined || found.reply === undefined)
    throw new BadNetlink('a connection without its two directions');
  const status = found.status ?? 0;
  return {
    protocol: found.original.protocol?.number ?? 0,
    original: endOf(found.original),
    reply: endOf(found.reply),
    translated: { source: (status & SRC_NAT) !== 0, destination: (status & DST_NAT) !== 0 },
    mark: found.mark ?? 0,
    zone: found.zone ?? 0,
    timeout: found.timeout ?? 0,
    id: found.id ?? 0,
    tuple: found.original,
  };
}

function endOf({ addresses, protocol }: Values<typeof TUPLE>): FlowEnd {
  const source = addresses?.source4 ?? addresses?.source6;
  const destination = addresses?.destination4 ?? addresses?.destination6;
  if (source === undefined || destination === undefined)
    throw new BadNetlink('a connection without addresses');
  return {
    source: source as Ip,
    destination: destination as Ip,
    sourcePort: protocol?.sourcePort ?? 0,
    destinationPort: protocol?.destinationPort ?? 0,
  };
}

function header(family: number) {
  return (out: { u8(n: number): void; be16(n: number): void }) => {
    out.u8(family);
    out.u8(0);
    out.be16(0);
  };
}
