/**
 * Packets that nftables rules send to a log group (linux/netfilter/nfnetlink_log.h). The kernel sends them to the one socket that
 * bound the group, so this is no multicast group: the subscription's own socket binds it.
 */
import { afterHeader, attributes, be32, encode, type NetlinkMessage, raw, text, u8 } from '../attributes.ts';
import { AF_UNSPEC, NLM_F_REQUEST } from '../constants.ts';
import type { NetlinkTransport, Subscription } from '../transport.ts';
import type { Writer } from '../writer.ts';
import { type PacketHeaders, readHeaders } from './packet.ts';

const NFNL_SUBSYS_ULOG = 4;
const NFULNL_MSG_PACKET = NFNL_SUBSYS_ULOG << 8;
const NFULNL_MSG_CONFIG = (NFNL_SUBSYS_ULOG << 8) | 1;
const NFGEN_HEADER = 4;
const NFULNL_CFG_CMD_BIND = 1;
const NFULNL_COPY_PACKET = 2;

/** Enough for the headers of IPv6 with extension headers, and the ports. */
const COPIED_BYTES = 160;
/** The kernel gathers packets into one message for so long, in hundredths of a second, or until there are so many. */
const GATHER_TIME = 10;
const GATHER_PACKETS = 32;

/** NFULA_CFG_… */
const CONFIG = attributes({ command: [1, u8], mode: [2, raw], timeout: [4, be32], threshold: [5, be32] });
/** NFULA_… */
const PACKET = attributes({ payload: [9, raw], prefix: [10, text] });

export interface LoggedPacket extends PacketHeaders {
  /** What the rule calls it: `log prefix "…"`. */
  readonly prefix: string;
}

/**
 * Binds a log group and tells what comes in. Throws `NetlinkError` when the kernel refuses: `EPERM` = another program has
 * bound this group, or we may not. `onLost`: packets came faster than they were read.
 */
export function followLog(
  nl: Pick<NetlinkTransport, 'subscribe'>,
  group: number,
  onPacket: (packet: LoggedPacket) => void,
  onLost: () => void,
): Subscription {
  const tell = (message: NetlinkMessage) => {
    const packet = readLogged(message);
    if (packet) onPacket(packet);
  };
  return nl.subscribe([], tell, onLost, bindMessages(group));
}

/** One message binds the group, one says how much of each packet to send and how long to gather. */
function bindMessages(group: number): Buffer[] {
  const head = (out: Writer) => {
    out.u8(AF_UNSPEC);
    out.u8(0);
    out.be16(group);
  };
  const message = (values: Parameters<typeof CONFIG.write>[1]) =>
    encode(NFULNL_MSG_CONFIG, NLM_F_REQUEST, head, CONFIG, values);
  // struct nfulnl_msg_config_mode: be32 range, u8 mode, u8 padding
  const mode = Buffer.alloc(6);
  mode.writeUInt32BE(COPIED_BYTES);
  mode.writeUInt8(NFULNL_COPY_PACKET, 4);
  return [
    message({ command: NFULNL_CFG_CMD_BIND }),
    message({ mode, timeout: GATHER_TIME, threshold: GATHER_PACKETS }),
  ];
}

/** `undefined` for messages that are no packet, and packets that are not IP. */
function readLogged(message: NetlinkMessage): LoggedPacket | undefined {
  if (message.type !== NFULNL_MSG_PACKET) return undefined;
  const start = afterHeader(message, NFGEN_HEADER);
  const { payload, prefix = '' } = PACKET.read(message.bytes, start, message.end, {});
  const headers = payload && readHeaders(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
  return headers && { ...headers, prefix };
}
