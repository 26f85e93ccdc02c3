/** Words in our table for people: comments, prefixes of logs. */
import type { Direction } from '../../../model/cluster/policy.ts';
import type { CompiledPolicy, CompiledRule } from '../compiled.ts';

/** What nft takes as a comment. */
const COMMENT_BYTES = 127;
/** NF_LOG_PREFIXLEN of linux/netfilter/nf_log.h without its closing zero. */
const PREFIX_BYTES = 127;

/** Text that nft prints between quotes and reads back: printable ASCII without quotes. */
export function comment(text: string): string {
  const clean = text.replaceAll(/[^ !#-[\]-~]/gu, '?');
  return clean.length <= COMMENT_BYTES ? clean : `${clean.slice(0, COMMENT_BYTES - 3)}...`;
}

/** `x/allow-web: ingress rule 0`, `no-telnet: egress rule 2 (to everybody)` */
export function ruleComment({ name, direction }: CompiledPolicy, rule: CompiledRule): string {
  const named = rule.name === '' ? '' : ` (${rule.name})`;
  return comment(`${name}: ${direction} rule ${rule.index}${named}`);
}

export type DenialKind = 'deny' | 'audit';

/** What the kernel's log says before a packet: `fairlead deny ingress`, `fairlead audit egress admin/no-telnet/2`, `… unknown`. */
export function logPrefix(kind: DenialKind, direction: Direction, by = ''): string {
  const short = `fairlead ${kind} ${direction}`;
  const long = `${short} ${by}`;
  return by !== '' && long.length <= PREFIX_BYTES ? long : short;
}
