/** Target `rule`: policy routing rules of our protocol number. The kernel cannot change a rule: the new one is added, then the old one removed. */
import { type Cidr, splitPrefix } from '../../model/net/cidr.ts';
import { FAMILIES } from '../../model/net/ip.ts';
import { ROUTE_PROTOCOL } from '../../model/rows/route.ts';
import { type RuleBody, ruleKey } from '../../model/rows/rule.ts';
import type { Target } from '../../reconcile/target.ts';
import { applyBatch } from './batch.ts';
import { watchDrift } from './drift.ts';
import { RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE } from './netlink/rtnetlink/constants.ts';
import {
  deleteRule,
  dumpRules,
  type KernelRule,
  newRule,
  type RuleSpec,
  readRule,
} from './netlink/rtnetlink/rule.ts';
import type { NetlinkTransport } from './netlink/transport.ts';

export function ruleTarget(nl: NetlinkTransport): Target<RuleBody> {
  return {
    name: 'rule',
    stage: 3,
    same,
    async observe() {
      const found = new Map<string, RuleBody>();
      for (const family of FAMILIES) {
        for (const rule of await nl.dump(dumpRules(family), readRule)) {
          if (rule.family === family && isOurs(rule)) {
            const body = bodyOf(rule);
            found.set(freeKey(found, ruleKey(family, rule.priority)), body);
          }
        }
      }
      return found;
    },
    apply: (batch) =>
      applyBatch(nl, batch, {
        title: (change) => `rule ${change.key}`,
        gone: ['ENOENT', 'ESRCH'],
        encode({ wanted, found }) {
          const add = wanted === undefined ? [] : [newRule(specOf(wanted))];
          return found === undefined ? add : [...add, deleteRule(specOf(found))];
        },
      }),
    watch: (onDrift) =>
      watchDrift(
        {
          nl,
          groups: [RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE],
          linkMatters: () => false,
          keyOf(message) {
            const rule = readRule(message);
            return rule && isOurs(rule) ? ruleKey(rule.family, rule.priority) : undefined;
          },
        },
        onDrift,
      ),
  };
}

const isOurs = (rule: KernelRule) => rule.protocol === ROUTE_PROTOCOL && !rule.special;

/** Two rules of ours under one priority are two rows, one of them surplus. */
function freeKey(taken: ReadonlyMap<string, unknown>, key: string): string {
  let free = key;
  for (let n = 2; taken.has(free); n++) free = `${key} #${n}`;
  return free;
}

function same(wanted: RuleBody, found: RuleBody): boolean {
  return (
    wanted.table === found.table &&
    wanted.from === found.from &&
    wanted.to === found.to &&
    wanted.mark?.value === found.mark?.value &&
    wanted.mark?.mask === found.mark?.mask
  );
}

function bodyOf(rule: KernelRule): RuleBody {
  const { family, priority, table, mark } = rule;
  const text = (prefix: KernelRule['from']) => prefix && (`${prefix.address}/${prefix.length}` as Cidr);
  return { family, priority, table, from: text(rule.from), to: text(rule.to), mark };
}

function specOf(body: RuleBody): RuleSpec {
  const { family, priority, table, mark } = body;
  const prefix = (text: Cidr | undefined) => text && splitPrefix(text);
  return {
    family,
    priority,
    table,
    mark,
    from: prefix(body.from),
    to: prefix(body.to),
    protocol: ROUTE_PROTOCOL,
  };
}
