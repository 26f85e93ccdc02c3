import type { PolicyProtocol } from '../../model/cluster/policy.ts';
import { FairleadError } from '../../model/errors.ts';
import type { Family } from '../../model/net/ip.ts';

/** What somebody asks about: `tcp/80`, `udp/dns` (a port's name on the destination pod), `icmp`, `47`. */
export interface Traffic {
  readonly protocol: PolicyProtocol | 'ICMP' | number;
  readonly port?: number | string;
}

const ALLOWED =
  'tcp/PORT, udp/PORT or sctp/PORT (PORT is a number or a name), icmp, or the number of a protocol';

/** Throws `bad-request`. */
export function parseTraffic(text: string): Traffic {
  const bad = (why: string) =>
    new FairleadError('bad-request', `"${text}" is no traffic: ${why}`, { hint: `write ${ALLOWED}` });
  const slash = text.indexOf('/');
  const word = (slash < 0 ? text : text.slice(0, slash)).toUpperCase();
  const port = slash < 0 ? undefined : text.slice(slash + 1);
  if (word === 'TCP' || word === 'UDP' || word === 'SCTP') {
    if (!port) throw bad(`${word} needs a port`);
    if (!/^\d+$/.test(port)) return { protocol: word, port };
    const number = Number(port);
    if (number < 1 || number > 65_535) throw bad(`${port} is no port`);
    return { protocol: word, port: number };
  }
  if (port !== undefined) throw bad('only TCP, UDP and SCTP have ports that policies can name');
  if (word === 'ICMP') return { protocol: word };
  if (/^\d{1,3}$/.test(word) && Number(word) <= 255) return { protocol: Number(word) };
  throw bad(`protocol ${word.toLowerCase()} is not known`);
}

const ICMP: Readonly<Record<Family, number>> = { ipv4: 1, ipv6: 58 };

/** The protocol as it is in packets of that family. */
export function protocolIn({ protocol }: Traffic, family: Family): PolicyProtocol | number {
  return protocol === 'ICMP' ? ICMP[family] : protocol;
}
