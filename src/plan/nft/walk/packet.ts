/** A packet, as far as rules can tell one from another. */
import type { Ip } from '../../../model/net/ip.ts';

/** The hook that a packet crosses on one machine: routed or bridged through it, sent by it (or by IPVS on it), delivered to it; before it is known which. */
export type PacketHook = 'forward' | 'output' | 'input' | 'prerouting';

export interface Packet {
  readonly hook: PacketHook;
  readonly from: Ip;
  readonly to: Ip;
  /** A name or the IANA number. */
  readonly protocol: 'tcp' | 'udp' | 'sctp' | 'icmp' | 'icmpv6' | number;
  /** Default 40000, for protocols with ports. */
  readonly sport?: number;
  readonly dport?: number;
  /** Type of an ICMP or ICMPv6 message; default echo request. */
  readonly icmpType?: number;
  /** What connection tracking says; default `new`. */
  readonly state?: 'new' | 'established' | 'related' | 'invalid' | 'untracked';
  readonly direction?: 'original' | 'reply';
  /** The destination before it was translated. */
  readonly original?: { readonly to: Ip; readonly dport?: number };
  /** Flags of TCP; default SYN of a new connection, ACK otherwise. */
  readonly tcpFlags?: number;
  /** This machine's own addresses: what `fib` calls local. */
  readonly local?: readonly string[];
  readonly iif?: string;
  readonly oif?: string;
  readonly mark?: number;
}

/** A packet on its way: rules can take it out of connection tracking. */
export type PacketUnderWay = Omit<Packet, 'state'> & { state?: NonNullable<Packet['state']> };
