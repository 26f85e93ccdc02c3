/**
 * Rules out of parts, as `nft` itself would translate them, so that `nft list` shows them as one would write them:
 *
 *     rule([equals(saddr('ipv4'), '10.0.0.0/8'), isNot(oifname, 'fairlead0'), counter, masquerade()], 'pods to the outside')
 */
import type { NftExpr, NftRule } from '../../model/rows/nft.ts';

/** A header that a packet may have. Fields presume headers; the rule asks for each once, before its first field. */
export type Header = 'ipv4' | 'ipv6' | 'tcp' | 'udp' | 'sctp' | 'icmp' | 'icmpv6';

/** Something that a rule tests or does. */
export interface Part {
  readonly exprs: readonly NftExpr[];
  /** Headers that it presumes. */
  readonly within?: readonly Header[];
  /** Headers that a packet surely has once this part matched. */
  readonly proves?: Header;
}

/** The first register: 16 bytes from here on serve most matches. */
export const FIRST_REGISTER = 8;

/** Each header by the key of `meta` that tells it, and its value there. */
const HAS: Readonly<Record<Header, Part>> = {
  ipv4: told('ipv4', 'nfproto', '02'),
  ipv6: told('ipv6', 'nfproto', '0a'),
  tcp: told('tcp', 'l4proto', '06'),
  udp: told('udp', 'l4proto', '11'),
  sctp: told('sctp', 'l4proto', '84'),
  icmp: told('icmp', 'l4proto', '01'),
  icmpv6: told('icmpv6', 'l4proto', '3a'),
};

/** Where a rule is put together: tens of thousands are kept, and an array that has grown keeps twice the room that it needs. */
const DRAFT: NftExpr[] = [];

export function rule(parts: readonly Part[], comment?: string): NftRule {
  let known = 0;
  let length = 0;
  for (const part of parts) {
    for (const header of part.within ?? NOWHERE) {
      if ((known & BIT[header]) !== 0) continue;
      known |= BIT[header];
      for (const expr of has(header).exprs) DRAFT[length++] = expr;
    }
    if (part.proves) known |= BIT[part.proves];
    for (const expr of part.exprs) DRAFT[length++] = expr;
  }
  const exprs = DRAFT.slice(0, length);
  return comment === undefined ? { exprs } : { exprs, comment };
}

/** `meta nfproto ipv4`, `meta l4proto tcp` */
export function has(header: Header): Part {
  return HAS[header];
}

const BIT: Readonly<Record<Header, number>> = {
  ipv4: 1,
  ipv6: 2,
  tcp: 4,
  udp: 8,
  sctp: 16,
  icmp: 32,
  icmpv6: 64,
};
const NOWHERE: readonly Header[] = [];

function told(header: Header, key: 'nfproto' | 'l4proto', data: string): Part {
  const sreg = FIRST_REGISTER;
  return {
    exprs: [
      { expr: 'meta', key, dreg: sreg },
      { expr: 'cmp', op: 'eq', sreg, data },
    ],
    proves: header,
  };
}
