/** Entries that have something to do with some addresses, at a cost that follows how many addresses they are. */
import { familyOf, type Ip, ipBytes } from '../../../../model/net/ip.ts';
import type { NetlinkMessage } from '../attributes.ts';
import type { NetlinkTransport } from '../transport.ts';
import { countFlows, type Flow, type FlowDirection, flowOf, listFlowsAt, readFlows } from './flows.ts';

/**
 * A dump that the kernel filters costs 10 ms and 0.2 ms for each 1,000 entries, one of all entries 10 ms and 1.9 ms: several of the first kind
 * are worth it when there is at least one in so many entries each, and not too many of them.
 */
const WORTH_PICKING = 10_000;
const MOST_PICKED = 8;

type Place = readonly [direction: FlowDirection, end: 'source' | 'destination'];

/** Who opened a connection, and who serves it once its destination was translated. */
const ENDS: readonly Place[] = [
  ['original', 'source'],
  ['reply', 'source'],
];
const PLACES: readonly Place[] = [...ENDS, ['original', 'destination'], ['reply', 'destination']];

/** Entries that `ends` opened or serve, and those that mention one of `anywhere` in any place. */
export async function listFlowsTouching(
  nl: NetlinkTransport,
  ends: ReadonlySet<Ip>,
  anywhere: ReadonlySet<Ip>,
): Promise<Flow[]> {
  const entries = await countFlows(nl);
  if (entries === 0) return [];
  const [ends4, anywhere4] = [ofIpv4(ends), ofIpv4(anywhere)];
  const dumps = ends4.length * ENDS.length + anywhere4.length * PLACES.length;
  const picked = dumps > 0 && dumps <= MOST_PICKED && dumps * WORTH_PICKING <= entries;
  const flows = picked ? await pickedByKernel(nl, ends4, anywhere4) : [];
  const families = new Set([...ends, ...anywhere].map(familyOf));
  if (picked) families.delete('ipv4');
  const [family] = families;
  if (family) {
    const wanted = new AddressBytes([...ends, ...anywhere]);
    const read = (reply: NetlinkMessage) => (wanted.areIn(reply) ? flowOf(reply) : undefined);
    flows.push(...(await readFlows(nl, families.size > 1 ? 'both' : family, read)));
  }
  const touches = (flow: Flow) =>
    ENDS.some(([direction, end]) => ends.has(flow[direction][end])) ||
    PLACES.some(([direction, end]) => anywhere.has(flow[direction][end]));
  return [...new Map(flows.filter(touches).map((flow) => [`${flow.id} ${flow.zone}`, flow])).values()];
}

const ofIpv4 = (addresses: ReadonlySet<Ip>): readonly Ip[] =>
  [...addresses].filter((address) => familyOf(address) === 'ipv4');

async function pickedByKernel(
  nl: NetlinkTransport,
  ends: readonly Ip[],
  anywhere: readonly Ip[],
): Promise<Flow[]> {
  const flows: Flow[] = [];
  const ask = async (addresses: readonly Ip[], places: readonly Place[]) => {
    for (const address of addresses)
      for (const place of places) flows.push(...(await listFlowsAt(nl, address, ...place)));
  };
  await ask(ends, ENDS);
  await ask(anywhere, PLACES);
  return flows;
}

/** CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_TUPLE_IP, and CTA_IP_V4_SRC … CTA_IP_V6_DST below it. */
const TUPLES = [1, 2];
const TUPLE_IP = 1;
const TYPE_MASK = 0x3fff;
const HEADER = 4;

/** Looks for addresses in a message without decoding it: a full table has a hundred thousand entries of others. */
class AddressBytes {
  readonly #v4 = new Set<number>();
  readonly #v6 = new Set<string>();

  constructor(addresses: Iterable<Ip>) {
    for (const address of addresses) {
      const bytes = Buffer.from(ipBytes(address));
      if (bytes.length === 4) this.#v4.add(bytes.readUInt32BE(0));
      else this.#v6.add(bytes.toString('latin1'));
    }
  }

  /** May say yes too often, to a message that is not as the kernel writes them; `flowOf` tells. */
  areIn({ bytes, start, end }: NetlinkMessage): boolean {
    for (let at = start + HEADER; at + HEADER <= end; ) {
      const size = bytes.readUInt16LE(at);
      if (size < HEADER || at + size > end) return true;
      const type = bytes.readUInt16LE(at + 2) & TYPE_MASK;
      if (TUPLES.includes(type) && this.#inTuple(bytes, at + HEADER, at + size)) return true;
      // The two tuples come first.
      if (type > 2) return false;
      at += (size + 3) & ~3;
    }
    return false;
  }

  /** The addresses are the first thing in a tuple. */
  #inTuple(bytes: Buffer, start: number, end: number): boolean {
    if (start + HEADER > end || (bytes.readUInt16LE(start + 2) & TYPE_MASK) !== TUPLE_IP) return true;
    const addressesEnd = Math.min(end, start + bytes.readUInt16LE(start));
    for (let at = start + HEADER; at + HEADER <= addressesEnd; ) {
      const size = bytes.readUInt16LE(at) - HEADER;
      if (size !== 4 && size !== 16) return true;
      if (at + HEADER + size > addressesEnd) return true;
      if (this.#has(bytes, at + HEADER, size)) return true;
      at += HEADER + size;
    }
    return false;
  }

  #has(bytes: Buffer, at: number, size: 4 | 16): boolean {
    if (size === 4) return this.#v4.has(bytes.readUInt32BE(at));
    return this.#v6.size > 0 && this.#v6.has(bytes.toString('latin1', at, at + 16));
  }
}
