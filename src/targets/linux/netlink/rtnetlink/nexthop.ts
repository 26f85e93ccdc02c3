/** Nexthop objects (linux/nexthop.h; kernels from 5.3). */
import { familyOf } from '../../../../model/net/ip.ts';
import { afterHeader, attributes, encode, ip, type NetlinkMessage, u16, u32 } from '../attributes.ts';
import { AF_INET, AF_INET6, AF_UNSPEC, NLM_F_DUMP, NLM_F_REQUEST } from '../constants.ts';
import type { Writer } from '../writer.ts';
import { RTM_DELNEXTHOP, RTM_GETNEXTHOP, RTM_NEWNEXTHOP } from './constants.ts';

const NHMSG = 8;

const NEXTHOP = attributes({ id: [1, u32], oif: [5, u32], gateway: [6, ip], encap: [7, u16] });

export interface NexthopSpec {
  readonly id: number;
  readonly protocol: number;
  readonly index: number;
  readonly via: string;
  /** RTNH_F_…. */
  readonly flags: number;
}

/** A nexthop as the kernel has it. */
export interface KernelNexthop extends Omit<NexthopSpec, 'via'> {
  /** Undefined for groups, blackholes and nexthops without gateway. */
  readonly via: string | undefined;
  /** It is something that we never ask for: no gateway, no link, encapsulation. */
  readonly special: boolean;
}

function nhmsg(out: Writer, family: number, protocol: number, flags: number): void {
  out.u8(family);
  out.u8(0); // scope: the kernel's to say
  out.u8(protocol);
  out.u8(0);
  out.u32(flags);
}

/** `flags`: NLM_F_CREATE with NLM_F_EXCL or NLM_F_REPLACE. */
export function newNexthop({ id, protocol, index, via, flags: hop }: NexthopSpec, flags: number): Buffer {
  const family = familyOf(via) === 'ipv4' ? AF_INET : AF_INET6;
  const head = (out: Writer) => nhmsg(out, family, protocol, hop);
  return encode(RTM_NEWNEXTHOP, NLM_F_REQUEST | flags, head, NEXTHOP, { id, oif: index, gateway: via });
}

/** Removes a nexthop, and with it, silently, the routes that use it. */
export function deleteNexthop(id: number): Buffer {
  return encode(RTM_DELNEXTHOP, NLM_F_REQUEST, (out) => nhmsg(out, AF_UNSPEC, 0, 0), NEXTHOP, { id });
}

/** Asks for all nexthops. A kernel that has none of them answers EOPNOTSUPP. */
export function dumpNexthops(): Buffer {
  return encode(RTM_GETNEXTHOP, NLM_F_REQUEST | NLM_F_DUMP, (out) => nhmsg(out, AF_UNSPEC, 0, 0));
}

/** Reads RTM_NEWNEXTHOP and RTM_DELNEXTHOP; `undefined` for all else. */
export function readNexthop(message: NetlinkMessage): KernelNexthop | undefined {
  if (message.type !== RTM_NEWNEXTHOP && message.type !== RTM_DELNEXTHOP) return undefined;
  const from = afterHeader(message, NHMSG);
  const { bytes, start, end } = message;
  const { id, oif, gateway, encap } = NEXTHOP.read(bytes, from, end, {});
  return {
    id: id ?? 0,
    protocol: bytes.readUInt8(start + 2),
    flags: bytes.readUInt32LE(start + 4),
    index: oif ?? 0,
    via: gateway,
    special: oif === undefined || gateway === undefined || encap !== undefined,
  };
}
