import type { ClusterNetworkPolicy } from '../../../model/cluster/policy.ts';
import type { Verdict } from '../flow.ts';
import { type Question, ruleMatches } from './rules.ts';
import { type Selected, selectedFor } from './selected.ts';
import { clusterRuleText, defaultText, nothingAllowsText } from './text.ts';

/** What the policies of one pod say: Admin tier, then NetworkPolicies (final where one selects the pod), then Baseline, then open. */
export function judge(question: Question): Verdict {
  const selected = selectedFor(question.world, question.pod)[question.direction];
  const notes: Notes = { audited: undefined, passed: '' };
  const verdict =
    askTier('admin', selected.admin, question, notes) ??
    askNetworkPolicies(selected, question, notes) ??
    askTier('baseline', selected.baseline, question, notes) ??
    verdictOf(question, { allowed: true, by: 'default', text: defaultText(question, selected) }, notes);
  return verdict.allowed && notes.audited ? notes.audited : verdict;
}

/** What was met on the way to the verdict. */
interface Notes {
  /** The first rule that would have denied and only tells. */
  audited: Verdict | undefined;
  passed: string;
}

type Tier = 'admin' | 'baseline';

/** The first rule that matches decides; `undefined` = none, or one that passes on to the next tier. */
function askTier(
  by: Tier,
  policies: readonly ClusterNetworkPolicy[],
  question: Question,
  notes: Notes,
): Verdict | undefined {
  for (const policy of policies) {
    for (const [index, rule] of policy[question.direction].entries()) {
      if (!ruleMatches(rule, question)) continue;
      const where = clusterRuleText(question.direction, index, rule, policy);
      if (rule.action === 'Pass') {
        notes.passed = ` (passed on by ${where})`;
        return undefined;
      }
      const allowed = rule.action === 'Accept';
      const policies = [`ClusterNetworkPolicy ${policy.name}`];
      const text = `${allowed ? 'accepted' : 'denied'} by ${where}`;
      const decided = { by, policies, rule: index };
      if (allowed || !policy.audit) return verdictOf(question, { ...decided, allowed, text }, notes);
      notes.audited ??= verdictOf(
        question,
        { ...decided, allowed: true, audit: true, text: `allowed, because audited: ${text}` },
        notes,
      );
    }
  }
  return undefined;
}

function askNetworkPolicies(selected: Selected, question: Question, notes: Notes): Verdict | undefined {
  const { direction } = question;
  const { policies, defaultDeny, enforced } = selected;
  if (policies.length === 0 && !defaultDeny) return undefined;
  for (const policy of policies) {
    // What cannot be used in it closes it.
    if (policy.problems.length > 0) continue;
    for (const [index, rule] of (policy[direction] ?? []).entries()) {
      if (!ruleMatches(rule, question, policy.namespace)) continue;
      const name = `NetworkPolicy ${policy.key}`;
      const text = `allowed by ${direction}[${index}] of ${name}`;
      return verdictOf(
        question,
        { allowed: true, by: 'network-policy', policies: [name], rule: index, text },
        notes,
      );
    }
  }
  const why =
    policies.length > 0
      ? nothingAllowsText(question, policies)
      : `no NetworkPolicy is in namespace ${question.pod.namespace}, and setting policy.defaultDeny denies ${direction} then`;
  return verdictOf(
    question,
    {
      allowed: !enforced,
      audit: !enforced,
      by: policies.length > 0 ? 'network-policy' : 'default-deny',
      policies: policies.map(({ key }) => `NetworkPolicy ${key}`),
      text: enforced ? why : `allowed, because audited: ${why}`,
    },
    notes,
  );
}

type Outcome = Pick<Verdict, 'allowed' | 'by' | 'text'> & Partial<Verdict>;

function verdictOf({ direction, pod }: Question, outcome: Outcome, { passed }: Notes): Verdict {
  const { audit = false, policies = [], text, ...rest } = outcome;
  return { direction, pod: pod.key, audit, policies, ...rest, text: text + passed };
}
