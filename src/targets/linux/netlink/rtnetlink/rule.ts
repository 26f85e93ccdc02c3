/** Policy routing rules (RTM_*RULE, linux/fib_rules.h). */
import type { Family } from '../../../../model/net/ip.ts';
import { afterHeader, attributes, encode, ip, type NetlinkMessage, text, u8, u32 } from '../attributes.ts';
import { AF_INET, AF_INET6, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST } from '../constants.ts';
import type { Writer } from '../writer.ts';
import { RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE } from './constants.ts';

const FIB_RULE_HDR = 12;
const FR_ACT_TO_TBL = 1;

const RULE = attributes({
  to: [1, ip],
  from: [2, ip],
  inputLink: [3, text],
  priority: [6, u32],
  mark: [10, u32],
  table: [15, u32],
  mask: [16, u32],
  outputLink: [17, text],
  protocol: [21, u8],
});

export interface KernelRule {
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  readonly from: { readonly address: string; readonly length: number } | undefined;
  readonly to: { readonly address: string; readonly length: number } | undefined;
  readonly mark: { readonly value: number; readonly mask: number } | undefined;
  readonly protocol: number;
  /** It has a condition or an action that we never ask for. */
  readonly special: boolean;
}

export type RuleSpec = Omit<KernelRule, 'special'>;

function ruleMessage(type: number, flags: number, rule: RuleSpec): Buffer {
  const head = (out: Writer) => {
    out.u8(rule.family === 'ipv4' ? AF_INET : AF_INET6);
    out.u8(rule.to?.length ?? 0);
    out.u8(rule.from?.length ?? 0);
    out.u8(0); // tos
    out.u8(0); // table: FRA_TABLE has room for all
    out.u16(0);
    out.u8(FR_ACT_TO_TBL);
    out.u32(0);
  };
  return encode(type, NLM_F_REQUEST | flags, head, RULE, {
    to: rule.to?.address,
    from: rule.from?.address,
    priority: rule.priority,
    mark: rule.mark?.value,
    mask: rule.mark?.mask,
    table: rule.table,
    protocol: rule.protocol,
  });
}

/**
 * Adds a rule beside others of its priority, also beside an equal one. No NLM_F_EXCL: the kernel's search for an equal rule takes a condition
 * that is absent for "any", and so refuses a wide rule because of a narrow one.
 */
export const newRule = (rule: RuleSpec): Buffer => ruleMessage(RTM_NEWRULE, NLM_F_CREATE, rule);

/** Removes the first rule that has these conditions; absent ones are not compared. */
export const deleteRule = (rule: RuleSpec): Buffer => ruleMessage(RTM_DELRULE, 0, rule);

export function dumpRules(family: Family): Buffer {
  return encode(RTM_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, (out) => {
    out.u8(family === 'ipv4' ? AF_INET : AF_INET6);
    for (let i = 1; i < FIB_RULE_HDR; i++) out.u8(0);
  });
}

/** Reads RTM_NEWRULE and RTM_DELRULE of IPv4 and IPv6; `undefined` for all else. */
export function readRule(message: NetlinkMessage): KernelRule | undefined {
  if (message.type !== RTM_NEWRULE && message.type !== RTM_DELRULE) return undefined;
  const from = afterHeader(message, FIB_RULE_HDR);
  const { bytes, start, end } = message;
  const family = bytes.readUInt8(start);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const values = RULE.read(bytes, from, end, {});
  const prefix = (address: string | undefined, length: number) =>
    address === undefined ? undefined : { address, length };
  return {
    family: family === AF_INET ? 'ipv4' : 'ipv6',
    priority: values.priority ?? 0,
    table: values.table ?? bytes.readUInt8(start + 4),
    from: prefix(values.from, bytes.readUInt8(start + 2)),
    to: prefix(values.to, bytes.readUInt8(start + 1)),
    mark: values.mark === undefined ? undefined : { value: values.mark, mask: values.mask ?? 0xffffffff },
    protocol: values.protocol ?? 0,
    special:
      bytes.readUInt8(start + 7) !== FR_ACT_TO_TBL ||
      values.inputLink !== undefined ||
      values.outputLink !== undefined,
  };
}
