/** The one form in which equal rows are equal, whoever wrote them. */
import type { NftBody, NftChain, NftElement, NftSet } from '../../../../model/rows/nft.ts';
import { normalExpression } from './expressions.ts';

/** Bodies are frozen data, so each is brought to normal form once. */
const forms = new WeakMap<NftBody, string>();

export function sameBody(wanted: NftBody, found: NftBody): boolean {
  return wanted === found || normalForm(wanted) === normalForm(found);
}

function normalForm(body: NftBody): string {
  let form = forms.get(body);
  if (form === undefined) {
    form = JSON.stringify(plainForm(body));
    forms.set(body, form);
  }
  return form;
}

function plainForm(body: NftBody): unknown {
  if (body.kind === 'chain') return chainForm(body);
  return body.kind === 'set' ? setForm(body) : elementForm(body);
}

function chainForm({ name, hook, rules }: NftChain): unknown {
  return [
    name,
    hookForm(hook),
    rules.map(({ exprs, comment }) => [exprs.map(normalExpression), comment || undefined]),
  ];
}

/** What cannot change on a chain that is there, and the policy, which can. */
function hookForm(hook: NftChain['hook']): unknown {
  return hook && [hook.type, hook.hook, hook.priority, hook.policy, hook.device];
}

function setForm(set: NftSet): unknown {
  const { name, key, value, interval, timeout, dynamic, size, comment } = set;
  return [
    name,
    key,
    value,
    interval,
    timeout === undefined ? 'no timeouts' : ticks(timeout),
    dynamic === true,
    // The kernel gives a set that rules add to a size, when it has none.
    size || (dynamic ? 0xffff : undefined),
    comment || undefined,
  ];
}

function elementForm({ set, key, value, timeout, comment }: NftElement): unknown {
  const plain = value && ('verdict' in value ? [value.verdict, value.chain] : value);
  return [set, key, plain, timeout ? ticks(timeout) : undefined, comment || undefined];
}

/** The kernel counts time in ticks of at most 10 ms and rounds down. */
function ticks(milliseconds: number): number {
  return Math.floor(milliseconds / 10);
}
