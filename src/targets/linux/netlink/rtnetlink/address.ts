/** Addresses of links (rtnetlink(7) RTM_*ADDR, linux/if_addr.h). */
import { familyOf } from '../../../../model/net/ip.ts';
import { afterHeader, attributes, encode, ip, type NetlinkMessage, text, u8, u32 } from '../attributes.ts';
import { AF_INET, AF_INET6, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from '../constants.ts';
import type { Writer } from '../writer.ts';
import { RTM_DELADDR, RTM_GETADDR, RTM_NEWADDR } from './constants.ts';

const IFADDRMSG = 8;
const IFA_F_NODAD = 0x2;
const IFA_F_PERMANENT = 0x80;
/** IFA_PROTO 1 to 3: the kernel made it by itself (loopback, router advertisement, link-local). */
const KERNEL_PROTOCOLS = 3;

const ADDRESS = attributes({
  peer: [1, ip],
  local: [2, ip],
  label: [3, text],
  broadcast: [4, ip],
  flags: [8, u32],
  protocol: [11, u8],
});

export interface Address {
  readonly index: number;
  readonly address: string;
  readonly length: number;
  /** The kernel made it: autoconfigured, or the link-local address of the link. Kernels before 5.18 do not tell the latter. */
  readonly automatic: boolean;
}

function ifaddrmsg(out: Writer, family: number, length: number, index: number): void {
  out.u8(family);
  out.u8(length);
  out.u8(0); // flags: IFA_FLAGS has room for more
  out.u8(0); // scope: the kernel derives IPv6's; IPv4 is universal
  out.u32(index);
}

const numberOf = (address: string) => (familyOf(address) === 'ipv4' ? AF_INET : AF_INET6);

/** Adds an address, IPv6 without duplicate address detection. Refused with EEXIST when it is there; IPv6 also with another prefix length. */
export function putAddress(index: number, address: string, length: number): Buffer {
  const flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
  const values = { local: address, peer: address, flags: IFA_F_PERMANENT | IFA_F_NODAD };
  return encode(
    RTM_NEWADDR,
    flags,
    (out) => ifaddrmsg(out, numberOf(address), length, index),
    ADDRESS,
    values,
  );
}

export function deleteAddress(index: number, address: string, length: number): Buffer {
  const head = (out: Writer) => ifaddrmsg(out, numberOf(address), length, index);
  return encode(RTM_DELADDR, NLM_F_REQUEST, head, ADDRESS, { local: address, peer: address });
}

/** Asks for all addresses of both families, or of one link. */
export function dumpAddresses(index = 0): Buffer {
  return encode(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, (out) => ifaddrmsg(out, 0, 0, index));
}

/** Reads RTM_NEWADDR and RTM_DELADDR; `undefined` for other messages. */
export function readAddress(message: NetlinkMessage): Address | undefined {
  if (message.type !== RTM_NEWADDR && message.type !== RTM_DELADDR) return undefined;
  const from = afterHeader(message, IFADDRMSG);
  const { bytes, start, end } = message;
  const family = bytes.readUInt8(start);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const values = ADDRESS.read(bytes, from, end, {});
  // On a point-to-point link IFA_ADDRESS is the other end; IPv6 without a peer has IFA_ADDRESS only.
  const address = values.local ?? values.peer;
  if (address === undefined) return undefined;
  const permanent = ((values.flags ?? bytes.readUInt8(start + 2)) & IFA_F_PERMANENT) !== 0;
  const protocol = values.protocol ?? 0;
  return {
    index: bytes.readUInt32LE(start + 4),
    address,
    length: bytes.readUInt8(start + 1),
    automatic: !permanent || (protocol > 0 && protocol <= KERNEL_PROTOCOLS),
  };
}
