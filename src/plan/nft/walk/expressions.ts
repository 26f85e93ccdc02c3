import { FairleadError } from '../../../model/errors.ts';
import { type Ip, ipBytes } from '../../../model/net/ip.ts';
import type { NftCompare, NftExpr, NftVerdict } from '../../../model/rows/nft.ts';
import { fromHex } from '../../../model/rows/nft-values.ts';
import { networkHeader, protocolNumber, transportHeader } from './bytes.ts';
import type { Packet, PacketUnderWay } from './packet.ts';
import type { Registers } from './registers.ts';
import { type SetView, verdictOf } from './sets.ts';

/** What one expression does to a packet: the rule goes on, the rule does not match, or something else. */
export type Step =
  | 'matches'
  | 'breaks'
  | 'rejected'
  | { readonly verdict: NftVerdict; readonly comment?: string }
  | { readonly log: string };

type Expr<K extends NftExpr['expr']> = Extract<NftExpr, { expr: K }>;

export function evaluate(
  expr: NftExpr,
  packet: PacketUnderWay,
  registers: Registers,
  sets: ReadonlyMap<string, SetView>,
): Step {
  switch (expr.expr) {
    case 'meta':
      return loaded(registers, expr.dreg, metaValue(expr, packet));
    case 'payload':
      return loaded(registers, expr.dreg, payloadValue(expr, packet));
    case 'ct':
      return loaded(registers, expr.dreg, ctValue(expr, packet));
    case 'fib':
      return loaded(registers, expr.dreg, fibValue(expr, packet));
    case 'immediate':
      return loaded(registers, expr.dreg, fromHex(expr.data));
    case 'cmp':
      return matchesIf(COMPARE[expr.op](registers.compare(expr.sreg, expr.data)));
    case 'range': {
      const inside =
        registers.compare(expr.sreg, expr.from) >= 0 && registers.compare(expr.sreg, expr.to) <= 0;
      return matchesIf(inside === (expr.op === 'eq'));
    }
    case 'bitwise': {
      const [mask, xor] = [fromHex(expr.mask), fromHex(expr.xor)];
      const value = registers.read(expr.sreg, expr.length);
      return loaded(
        registers,
        expr.dreg,
        value.map((byte, i) => (byte & (mask[i] ?? 0)) ^ (xor[i] ?? 0)),
      );
    }
    case 'lookup':
      return lookedUp(expr, registers, sets);
    case 'limit':
      // The rate is never exceeded here.
      return matchesIf(expr.over !== true);
    case 'log':
      return { log: expr.prefix ?? '' };
    case 'reject':
      return 'rejected';
    case 'verdict':
      return { verdict: expr.verdict };
    case 'notrack':
      packet.state = 'untracked';
      return 'matches';
    // What they change, nothing here reads again.
    case 'counter':
    case 'dynset':
    case 'rt':
    case 'byteorder':
    case 'exthdr-set':
      return 'matches';
    default:
      throw new FairleadError('bad-rule', `nobody taught the walker the expression ${expr.expr}`);
  }
}

function loaded(registers: Registers, register: number, value: Uint8Array | undefined): Step {
  if (value === undefined) return 'breaks';
  registers.store(register, value);
  return 'matches';
}

function matchesIf(condition: boolean): Step {
  return condition ? 'matches' : 'breaks';
}

const COMPARE: Readonly<Record<NftCompare, (order: number) => boolean>> = {
  eq: (order) => order === 0,
  neq: (order) => order !== 0,
  lt: (order) => order < 0,
  lte: (order) => order <= 0,
  gt: (order) => order > 0,
  gte: (order) => order >= 0,
};

function lookedUp(
  { set: name, sreg, dreg, invert }: Expr<'lookup'>,
  registers: Registers,
  sets: ReadonlyMap<string, SetView>,
): Step {
  const set = sets.get(name);
  if (!set) throw new FairleadError('bad-rule', `there is no set ${name}`);
  const element = set.find(registers, sreg);
  if (dreg === undefined) return matchesIf((element !== undefined) !== (invert === true));
  if (dreg !== 0) throw new FairleadError('bad-rule', `the walker reads verdict maps only, not ${name}`);
  if (!element) return 'breaks';
  return { verdict: verdictOf(element), ...(element.comment !== undefined && { comment: element.comment }) };
}

function metaValue({ key }: Expr<'meta'>, packet: Packet): Uint8Array {
  switch (key) {
    case 'nfproto':
      return Uint8Array.of(isIpv4(packet) ? 2 : 10);
    case 'l4proto':
      return Uint8Array.of(protocolNumber(packet));
    case 'mark':
      return hostOrder(packet.mark ?? 0);
    case 'iifname':
      return ifname(packet.iif);
    case 'oifname':
      return ifname(packet.oif);
    default:
      throw new FairleadError('bad-rule', `nobody taught the walker meta ${key}`);
  }
}

function payloadValue({ base, offset, length }: Expr<'payload'>, packet: Packet): Uint8Array | undefined {
  if (base !== 'network' && base !== 'transport')
    throw new FairleadError('bad-rule', `nobody taught the walker the ${base} header`);
  const header = base === 'network' ? networkHeader(packet) : transportHeader(packet);
  // Nothing to load: the kernel leaves the rule.
  return offset + length <= header.length ? header.subarray(offset, offset + length) : undefined;
}

const CT_STATES = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const;
const CT_STATUS_DNAT = 0x20;

function ctValue({ key, direction }: Expr<'ct'>, packet: Packet): Uint8Array | undefined {
  const { state = 'new', original } = packet;
  if (key === 'state') return hostOrder(CT_STATES[state]);
  // Without an entry there is nothing else to say.
  if (state === 'invalid' || state === 'untracked') return undefined;
  if (key === 'direction') return Uint8Array.of(packet.direction === 'reply' ? 1 : 0);
  if (key === 'status') return hostOrder(original ? CT_STATUS_DNAT : 0);
  if (direction === 'original' && packet.direction !== 'reply') {
    if (key === 'dst-ip' || key === 'dst-ip6') return ipBytes(original?.to ?? packet.to);
    if (key === 'src-ip' || key === 'src-ip6') return ipBytes(packet.from);
  }
  throw new FairleadError('bad-rule', `nobody taught the walker ct ${direction ?? ''} ${key}`);
}

/** RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST */
const ADDRESS_TYPES = { unicast: 1, local: 2, broadcast: 3, multicast: 5 } as const;

function fibValue({ result, flags }: Expr<'fib'>, packet: Packet): Uint8Array {
  if (result !== 'type') throw new FairleadError('bad-rule', `nobody taught the walker fib ${result}`);
  return hostOrder(ADDRESS_TYPES[typeOf(flags.includes('saddr') ? packet.from : packet.to, packet)]);
}

function typeOf(address: Ip, packet: Packet): keyof typeof ADDRESS_TYPES {
  if (packet.local?.includes(address)) return 'local';
  if (address === '255.255.255.255') return 'broadcast';
  const [first = 0] = ipBytes(address);
  return address.includes(':')
    ? first === 0xff
      ? 'multicast'
      : 'unicast'
    : first >> 4 === 14
      ? 'multicast'
      : 'unicast';
}

function isIpv4(packet: Packet): boolean {
  return !packet.to.includes(':');
}

function ifname(name = ''): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(new TextEncoder().encode(name));
  return bytes;
}

/** As registers hold numbers that are no header's: little-endian, as everywhere that Fairlead runs. */
function hostOrder(n: number): Uint8Array {
  return Uint8Array.of(n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24);
}
