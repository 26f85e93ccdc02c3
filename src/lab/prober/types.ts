import type { Family } from '../../model/net/ip.ts';

export type ProbeProtocol = 'tcp' | 'udp' | 'sctp' | 'icmp';

/** `allowed`: answered. `rejected`: an ICMP error or a reset came. `dropped`: nothing came in time. */
export type Verdict = 'allowed' | 'dropped' | 'rejected';

/** One question: can `from` reach this address and port? */
export interface ProbeRequest {
  /** Name of the endpoint that asks: `default/n1-a`, `n1`, `outside`. */
  readonly from: string;
  /** Name of what is asked, or an address. */
  readonly to: string;
  readonly family: Family;
  readonly protocol: ProbeProtocol;
  readonly port: number;
  /** Bytes of UDP or ICMP payload, sent with "do not fragment". */
  readonly size?: number;
  /** Milliseconds until "dropped", in which the prober ran; default 1,000. */
  readonly timeout?: number;
}

export interface ProbeResult {
  readonly from: string;
  readonly to: string;
  readonly family: Family;
  readonly protocol: ProbeProtocol;
  readonly port: number;
  readonly verdict: Verdict;
  /** Source address that the far end saw; empty when nothing answered or the protocol cannot tell (ICMP). */
  readonly source: string;
  /** Why it is not allowed, in the kernel's words. */
  readonly reason?: string;
}

export interface Answer {
  readonly verdict: Verdict;
  readonly source: string;
  readonly reason?: string;
}

export interface StreamRequest {
  /** Ordered pairs of endpoint names; absent = all pods to all pods. */
  readonly pairs?: readonly (readonly [string, string])[];
  readonly families?: readonly Family[];
  readonly protocol?: 'udp' | 'tcp';
  /** Probes a second, over all pairs together. */
  readonly rate: number;
  /** Ends after this many; absent = until stopped. */
  readonly count?: number;
  /** Milliseconds without an answer, in which the prober ran, that make a probe lost; default 1,000. */
  readonly timeout?: number;
}

export interface StreamResult {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  /** Up to 20 of those lost: pair, family, milliseconds since the stream's start. */
  readonly losses: readonly {
    readonly from: string;
    readonly to: string;
    readonly family: Family;
    readonly at: number;
  }[];
  /** Source addresses seen by the far end that were not the sender's own. */
  readonly foreignSources: readonly string[];
  /** TCP connections that ended before the stream did. */
  readonly broken: number;
}
