/** Links (rtnetlink(7) RTM_*LINK, linux/if_link.h): the kinds we make (bridge, veth, vxlan) in full, of the others what all links have. */
import { familyOf } from '../../../../model/net/ip.ts';
import {
  afterHeader,
  attributes,
  be16,
  type Codec,
  chosenBy,
  encode,
  i32,
  ip,
  mac,
  type NetlinkMessage,
  nested,
  text,
  u8,
  u16,
  u32,
  type Values,
} from '../attributes.ts';
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from '../constants.ts';
import type { NetlinkTransport } from '../transport.ts';
import type { Writer } from '../writer.ts';
import { RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK } from './constants.ts';

const IFF_UP = 0x1;
const IFF_LOWER_UP = 0x10000;
const IFINFOMSG = 16;
const IN6_ADDR_GEN_MODE_NONE = 1;
const AF_INET6 = 10;
/** No counters: they are most of a link's bytes. */
const RTEXT_FILTER_SKIP_STATS = 8;

const VXLAN = attributes({
  vni: [1, u32],
  underlay: [3, u32],
  local4: [4, ip],
  ttl: [5, u8],
  learning: [7, u8],
  port: [15, be16],
  local6: [17, ip],
  udpChecksum: [18, u8],
  collectMetadata: [25, u8],
  df: [29, u8],
});

const BRIDGE = attributes({
  forwardDelay: [1, u32],
  ageingTime: [4, u32],
  stpState: [5, u32],
  vlanFiltering: [7, u8],
  groupForwardMask: [9, u16],
  multicastSnooping: [23, u8],
  callIptables: [36, u8],
  callIp6tables: [37, u8],
});

const INET6_SPEC = attributes({ addressGeneration: [8, u8] });

const COMMON = {
  mac: [1, mac],
  name: [3, text],
  mtu: [4, u32],
  link: [5, u32],
  master: [10, u32],
  operstate: [16, u8],
  namespacePid: [19, u32],
  alias: [20, text],
  families: [26, nested(attributes({ inet6: [AF_INET6, nested(INET6_SPEC)] }))],
  group: [27, u32],
  namespaceFd: [28, i32],
  extended: [29, u32],
  txQueues: [31, u32],
  rxQueues: [32, u32],
  linkNamespace: [37, i32],
} as const;

const PEER_ATTRIBUTES = attributes(COMMON);
export type LinkAttributes = Values<typeof PEER_ATTRIBUTES>;

/** VETH_INFO_PEER: a whole link message without its netlink header. */
const peer: Codec<LinkAttributes> = {
  nested: true,
  write(out, value) {
    ifinfomsg(out, 0, 0, 0);
    PEER_ATTRIBUTES.write(out, value, {});
  },
  read: (bytes, start, end) => PEER_ATTRIBUTES.read(bytes, Math.min(start + IFINFOMSG, end), end, {}),
};

const INFO = attributes({
  kind: [1, text],
  data: [2, chosenBy('kind', { vxlan: VXLAN, bridge: BRIDGE, veth: attributes({ peer: [1, peer] }) })],
});

const LINK = attributes({ ...COMMON, info: [18, nested(INFO)] });
type WireLink = Values<typeof LINK>;

export type VxlanData = Values<typeof VXLAN>;
export type BridgeData = Values<typeof BRIDGE>;

/** A link as the kernel shows it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Empty for physical links and loopback. */
  readonly kind: string;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
  /** Empty when the link has none or one of another length. */
  readonly mac: string;
  readonly alias: string;
  readonly group: number;
  readonly master: number | undefined;
  /** Index of the lower link or of the peer, in `linkNamespace` when that is given. */
  readonly link: number | undefined;
  readonly linkNamespace: number | undefined;
  /** The link makes no fe80:: address of itself (`addrgenmode none`); undefined when the kernel has no IPv6 on it. */
  readonly noAutoAddress: boolean | undefined;
  readonly vxlan: VxlanData | undefined;
}

/** What to create or set. */
export interface LinkSpec extends LinkAttributes {
  readonly up?: boolean;
  readonly noAutoAddress?: boolean;
  readonly vxlan?: VxlanData;
  readonly bridge?: BridgeData;
  readonly veth?: { readonly peer: LinkAttributes };
}

function ifinfomsg(out: Writer, index: number, flags: number, change: number): void {
  out.u8(0); // family
  out.u8(0);
  out.u16(0); // type
  out.u32(index);
  out.u32(flags);
  out.u32(change);
}

function wire(spec: LinkSpec): WireLink {
  const { up: _up, noAutoAddress, vxlan, bridge, veth, ...common } = spec;
  const families = noAutoAddress ? { inet6: { addressGeneration: IN6_ADDR_GEN_MODE_NONE } } : undefined;
  const info = vxlan
    ? { kind: 'vxlan', data: vxlan }
    : bridge
      ? { kind: 'bridge', data: bridge }
      : veth
        ? { kind: 'veth', data: veth }
        : undefined;
  return { ...common, families, info };
}

function linkMessage(flags: number, index: number, spec: LinkSpec): Buffer {
  const up = spec.up === undefined ? [0, 0] : [spec.up ? IFF_UP : 0, IFF_UP];
  const [value = 0, change = 0] = up;
  return encode(
    RTM_NEWLINK,
    NLM_F_REQUEST | flags,
    (out) => ifinfomsg(out, index, value, change),
    LINK,
    wire(spec),
  );
}

/**
 * Refused with EEXIST when the name is taken. The kernel ignores alias and `noAutoAddress` at creation: set them afterwards.
 * A veth's peer goes to another namespace with `veth.peer.namespaceFd`.
 */
export function createLink(spec: LinkSpec & { readonly name: string }): Buffer {
  return linkMessage(NLM_F_CREATE | NLM_F_EXCL, 0, spec);
}

/** Changes a link in place; by index, or by `spec.name` when the index is 0. */
export function setLink(index: number, spec: LinkSpec): Buffer {
  return linkMessage(0, index, spec);
}

export function deleteLink(index: number): Buffer {
  return encode(RTM_DELLINK, NLM_F_REQUEST, (out) => ifinfomsg(out, index, 0, 0));
}

/** Asks for one link, by index or by name. */
function getLink(which: number | string): Buffer {
  const index = typeof which === 'number' ? which : 0;
  const name = typeof which === 'string' ? which : undefined;
  return encode(RTM_GETLINK, NLM_F_REQUEST, (out) => ifinfomsg(out, index, 0, 0), LINK, {
    name,
    extended: RTEXT_FILTER_SKIP_STATS,
  });
}

/** Asks for all links, or all of one kind. */
export function dumpLinks(kind?: string): Buffer {
  return encode(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, (out) => ifinfomsg(out, 0, 0, 0), LINK, {
    extended: RTEXT_FILTER_SKIP_STATS,
    info: kind === undefined ? undefined : { kind },
  });
}

/** Reads RTM_NEWLINK and RTM_DELLINK; `undefined` for other messages, and for the bridge's own (their family is AF_BRIDGE). */
export function readLink(message: NetlinkMessage): Link | undefined {
  if (message.type !== RTM_NEWLINK && message.type !== RTM_DELLINK) return undefined;
  const from = afterHeader(message, IFINFOMSG);
  const { bytes, start, end } = message;
  if (bytes.readUInt8(start) !== 0) return undefined;
  const flags = bytes.readUInt32LE(start + 8);
  const values = LINK.read(bytes, from, end, {});
  const info = values.info;
  return {
    index: bytes.readInt32LE(start + 4),
    name: values.name ?? '',
    kind: info?.kind ?? '',
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    mtu: values.mtu ?? 0,
    mac: values.mac ?? '',
    alias: values.alias ?? '',
    group: values.group ?? 0,
    master: values.master,
    link: values.link,
    linkNamespace: values.linkNamespace,
    noAutoAddress:
      values.families?.inet6 === undefined
        ? undefined
        : values.families.inet6.addressGeneration === IN6_ADDR_GEN_MODE_NONE,
    vxlan: info?.kind === 'vxlan' ? ((info.data as VxlanData | undefined) ?? {}) : undefined,
  };
}

export async function listLinks(nl: NetlinkTransport, kind?: string): Promise<Link[]> {
  const links = await nl.dump(dumpLinks(kind), readLink);
  return kind === undefined ? links : links.filter((link) => link.kind === kind);
}

/** `undefined` when there is no such link. */
export async function findLink(nl: NetlinkTransport, which: number | string): Promise<Link | undefined> {
  try {
    return (await nl.request(getLink(which), readLink))[0];
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENODEV') return undefined;
    throw error;
  }
}

/** The attribute that holds a vxlan's own address, by family. */
export function vxlanLocal(address: string): Pick<VxlanData, 'local4' | 'local6'> {
  return familyOf(address) === 'ipv4' ? { local4: address } : { local6: address };
}
