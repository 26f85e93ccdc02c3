import type { Config } from '../../../model/cluster/config.ts';
import type { NftRule } from '../../../model/rows/nft.ts';
import { type Part, rule } from '../../nft/rule.ts';
import { accept, goBack, goTo, jump } from '../../nft/statement.ts';
import type { CompiledPolicy, CompiledRule } from '../compiled.ts';
import { denyRuleRow } from './denied.ts';
import { denyRuleChain, policyName } from './names.ts';
import { type Match, peerMatches } from './peers.ts';
import { portMatches } from './ports.ts';
import type { NftRow } from './rows.ts';
import { ruleComment } from './words.ts';

export interface Rendered {
  readonly rules: readonly NftRule[];
  /** Sets and chains that the rules refer to. */
  readonly rows: readonly NftRow[];
}

/** The rules of a policy, in order. Each is: a port, a peer, what is done; peers and ports that can be in a set are in one. */
export function policyRules(policy: CompiledPolicy, settings: Config['policy']): Rendered {
  const times = new Map<number, number>();
  const rendered = policy.rules.map((each) => {
    const before = times.get(each.index) ?? 0;
    times.set(each.index, before + 1);
    // Several of one index: the first has its plain name.
    const scope = `${policyName(policy)}/${each.index}${before === 0 ? '' : `.${before}`}`;
    return ruleRules(policy, each, scope, settings);
  });
  return { rules: rendered.flatMap(({ rules }) => rules), rows: rendered.flatMap(({ rows }) => rows) };
}

function ruleRules(
  policy: CompiledPolicy,
  compiled: CompiledRule,
  scope: string,
  settings: Config['policy'],
): Rendered {
  const text = ruleComment(policy, compiled);
  const peers = peerMatches(compiled, policy.direction);
  const ports = portMatches(compiled, scope, text, peers.length);
  const action = actionOf(policy, compiled);
  const rules: NftRule[] = [];
  for (const peer of peers) {
    for (const port of ports.matches) {
      if (peer.family === undefined || port.family === undefined || peer.family === port.family)
        rules.push(rule([...inOrder(peer, port), action], text));
    }
  }
  if (rules.length === 0) return { rules, rows: [] };
  const denied = compiled.action === 'deny' ? [denyRuleRow(policy, compiled, settings)] : [];
  return { rules, rows: [...ports.rows, ...denied] };
}

/** A packet asks the rules of one policy after the other: most must say no at once, by the port, and not after a look into a set. */
function inOrder(peer: Match, port: Match): readonly Part[] {
  return port.first ? [...port.parts, ...peer.parts] : [...peer.parts, ...port.parts];
}

function actionOf(policy: CompiledPolicy, { action, index }: CompiledRule): Part {
  switch (action) {
    case 'accept':
      return accept;
    case 'pass':
      // The chain of a tier is jumped to: behind the jump comes what follows the tier.
      return goBack;
    case 'deny': {
      const chain = denyRuleChain(policy, index);
      // An audited one only tells, and evaluation goes on behind it.
      return policy.audit ? jump(chain) : goTo(chain);
    }
  }
}
