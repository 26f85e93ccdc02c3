/** Neighbours (ARP, NDP) and forwarding entries of vxlan devices, which share RTM_*NEIGH (linux/neighbour.h). */
import { familyOf } from '../../../../model/net/ip.ts';
import {
  afterHeader,
  attributes,
  be16,
  encode,
  ip,
  mac,
  type NetlinkMessage,
  raw,
  u32,
} from '../attributes.ts';
import {
  AF_BRIDGE,
  AF_INET,
  AF_INET6,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
} from '../constants.ts';
import type { Writer } from '../writer.ts';
import { RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH } from './constants.ts';

const NDMSG = 12;
export const NUD_NOARP = 0x40;
export const NUD_PERMANENT = 0x80;
const NTF_SELF = 0x2;
const NTF_PROXY = 0x8;

const NEIGHBOR = attributes({
  dst: [1, ip],
  mac: [2, mac],
  cacheInfo: [3, raw],
  port: [6, be16],
  vni: [7, u32],
  via: [8, u32],
});

export interface Neighbor {
  readonly index: number;
  readonly ip: string;
  readonly mac: string;
  readonly state: number;
}

/** An entry of a link's own forwarding table. */
export interface FdbEntry {
  readonly index: number;
  readonly mac: string;
  /** The VTEP; undefined for entries of links that are no tunnels. */
  readonly dst: string | undefined;
  readonly state: number;
  /** It overrides the device's port, VNI or underlay link. */
  readonly overrides: boolean;
}

function ndmsg(out: Writer, family: number, index: number, state: number, flags: number): void {
  out.u8(family);
  out.u8(0);
  out.u16(0);
  out.u32(index);
  out.u16(state);
  out.u8(flags);
  out.u8(0); // type
}

const numberOf = (address: string) => (familyOf(address) === 'ipv4' ? AF_INET : AF_INET6);
const PUT = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE;

/** Adds or replaces a permanent neighbour. */
export function putNeighbor(index: number, address: string, hardware: string): Buffer {
  const head = (out: Writer) => ndmsg(out, numberOf(address), index, NUD_PERMANENT, 0);
  return encode(RTM_NEWNEIGH, PUT, head, NEIGHBOR, { dst: address, mac: hardware });
}

export function deleteNeighbor(index: number, address: string): Buffer {
  const head = (out: Writer) => ndmsg(out, numberOf(address), index, 0, 0);
  return encode(RTM_DELNEIGH, NLM_F_REQUEST, head, NEIGHBOR, { dst: address });
}

/** Adds or replaces a permanent forwarding entry of a vxlan device. */
export function putFdb(index: number, hardware: string, dst: string): Buffer {
  const head = (out: Writer) => ndmsg(out, AF_BRIDGE, index, NUD_PERMANENT, NTF_SELF);
  return encode(RTM_NEWNEIGH, PUT, head, NEIGHBOR, { dst, mac: hardware });
}

/** Removes the entry of a MAC with all its destinations. */
export function deleteFdb(index: number, hardware: string): Buffer {
  const head = (out: Writer) => ndmsg(out, AF_BRIDGE, index, 0, NTF_SELF);
  return encode(RTM_DELNEIGH, NLM_F_REQUEST, head, NEIGHBOR, { mac: hardware });
}

/** Asks for the neighbours of both families on one link. */
export function dumpNeighbors(index: number): Buffer {
  return encode(RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, (out) => ndmsg(out, 0, 0, 0, 0), NEIGHBOR, {
    via: index,
  });
}

/** Asks for the forwarding entries of one link. */
export function dumpFdb(index: number): Buffer {
  return encode(RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, (out) => ndmsg(out, AF_BRIDGE, index, 0, 0));
}

/** Reads RTM_NEWNEIGH and RTM_DELNEIGH of IPv4 and IPv6; `undefined` for all else, proxy entries among it. */
export function readNeighbor(message: NetlinkMessage): Neighbor | undefined {
  if (message.type !== RTM_NEWNEIGH && message.type !== RTM_DELNEIGH) return undefined;
  const from = afterHeader(message, NDMSG);
  const { bytes, start, end } = message;
  const family = bytes.readUInt8(start);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  if ((bytes.readUInt8(start + 10) & NTF_PROXY) !== 0) return undefined;
  const values = NEIGHBOR.read(bytes, from, end, {});
  if (values.dst === undefined) return undefined;
  return {
    index: bytes.readUInt32LE(start + 4),
    ip: values.dst,
    mac: values.mac ?? '',
    state: bytes.readUInt16LE(start + 8),
  };
}

/**
 * Reads RTM_NEWNEIGH and RTM_DELNEIGH of links' own forwarding tables (`self`); `undefined` for all else. So is the second notification of each change, which kernels
 * before 6.15 send (net/core/rtnetlink.c, `rtnl_fdb_notify`): it has nothing but the MAC address. The device's own one always has NDA_CACHEINFO.
 */
export function readFdb(message: NetlinkMessage): FdbEntry | undefined {
  if (message.type !== RTM_NEWNEIGH && message.type !== RTM_DELNEIGH) return undefined;
  const from = afterHeader(message, NDMSG);
  const { bytes, start, end } = message;
  if (bytes.readUInt8(start) !== AF_BRIDGE || (bytes.readUInt8(start + 10) & NTF_SELF) === 0)
    return undefined;
  const { dst, mac: hardware, cacheInfo, port, vni, via } = NEIGHBOR.read(bytes, from, end, {});
  if (dst === undefined && cacheInfo === undefined) return undefined;
  return {
    index: bytes.readUInt32LE(start + 4),
    mac: hardware ?? '',
    dst,
    state: bytes.readUInt16LE(start + 8),
    overrides: port !== undefined || vni !== undefined || via !== undefined,
  };
}

/** Reads what a bridge has learned at a port, whose index was asked for: a MAC address. `undefined` for the port's own, and for what was set by hand. */
export function readLearned(message: NetlinkMessage): string | undefined {
  if (message.type !== RTM_NEWNEIGH) return undefined;
  const from = afterHeader(message, NDMSG);
  const { bytes, start, end } = message;
  if (bytes.readUInt8(start) !== AF_BRIDGE || (bytes.readUInt8(start + 10) & NTF_SELF) !== 0)
    return undefined;
  if ((bytes.readUInt16LE(start + 8) & (NUD_PERMANENT | NUD_NOARP)) !== 0) return undefined;
  return NEIGHBOR.read(bytes, from, end, {}).mac;
}
