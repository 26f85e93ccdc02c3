/** Where denied packets end, and audited ones are told of. */
import type { Config } from '../../../model/cluster/config.ts';
import { DIRECTIONS, type Direction } from '../../../model/cluster/policy.ts';
import type { NftRule } from '../../../model/rows/nft.ts';
import { has, rule } from '../../nft/rule.ts';
import { accept, counter, drop, limit, log, rejectProhibited, rejectReset } from '../../nft/statement.ts';
import type { CompiledPolicy, CompiledRule } from '../compiled.ts';
import { auditChain, deniedChain, denyRuleChain, unknownChain } from './names.ts';
import { ACCEPTS, DROPS, GOES_ON } from './refused.ts';
import { chainRow, type NftRow } from './rows.ts';
import { comment, logPrefix, ruleComment } from './words.ts';

type Settings = Config['policy'];

/** The chains that are there once. */
export function deniedRows(settings: Settings): NftRow[] {
  return DIRECTIONS.flatMap((direction) => [
    chainRow(
      `${direction} that no NetworkPolicy allows`,
      deniedChain(direction),
      [...told(settings, logPrefix('deny', direction)), ...refusal(settings)],
      { ifRefused: DROPS },
    ),
    chainRow(
      `${direction} that audited NetworkPolicies would deny`,
      auditChain(direction),
      [
        ...told(settings, logPrefix('audit', direction)),
        rule([counter, accept], 'audited: no NetworkPolicy allows it'),
      ],
      { ifRefused: ACCEPTS },
    ),
    ...(settings.unknownPods === 'closed' ? [unknownRow(direction, settings)] : []),
  ]);
}

function unknownRow(direction: Direction, settings: Settings): NftRow {
  return chainRow(
    `${direction} of addresses that are no known pod's`,
    unknownChain(direction),
    [
      ...told(settings, logPrefix('deny', direction, 'unknown')),
      rule([counter, drop], 'no known pod has this address'),
    ],
    { ifRefused: DROPS },
  );
}

/** Where a Deny rule of a ClusterNetworkPolicy leads: always a drop, or, while it is audited, on. */
export function denyRuleRow(policy: CompiledPolicy, compiled: CompiledRule, settings: Settings): NftRow {
  const { tier, name, direction, audit } = policy;
  const prefix = logPrefix(audit ? 'audit' : 'deny', direction, `${tier}/${name}/${compiled.index}`);
  const text = ruleComment(policy, compiled);
  const end = audit
    ? rule([counter], comment(`audited: ${text}`))
    : rule([counter, drop], comment(`denied: ${text}`));
  return chainRow(
    `ClusterNetworkPolicy ${text}: denials`,
    denyRuleChain(policy, compiled.index),
    [...told(settings, prefix), end],
    { ifRefused: audit ? GOES_ON : DROPS },
  );
}

/** No more than the setting a second, so that a flood of denied packets is no flood of messages. */
function told({ logGroup, logRate }: Settings, prefix: string): NftRule[] {
  if (logRate === 0) return [];
  return [rule([limit(logRate, 'second', Math.min(5, logRate)), log(logGroup, prefix)])];
}

function refusal({ denied }: Settings): NftRule[] {
  const why = 'no NetworkPolicy allows it';
  if (denied === 'drop') return [rule([counter, drop], why)];
  return [rule([has('tcp'), counter, rejectReset], why), rule([counter, rejectProhibited], why)];
}
