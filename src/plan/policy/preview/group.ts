import type { PreviewChange } from '../../../model/api.ts';
import type { Family } from '../../../model/net/ip.ts';

/** One kind of traffic between two ends, and what changes for it, if anything does. */
export interface Judged {
  readonly from: string;
  readonly to: string;
  readonly family: Family;
  readonly traffic: string;
  readonly change?: { readonly kind: PreviewChange['kind']; readonly because: string };
}

/** Changes that are alike become one: first all traffic of two ends, then senders, then receivers. */
export function grouped(judged: readonly Judged[]): PreviewChange[] {
  const pairs = [...Map.groupBy(judged, ({ from, to }) => `${from}\n${to}`).values()].flatMap(pairChanges);
  const senders = merge(pairs, 'from', 'to');
  return merge(senders, 'to', 'from').toSorted((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
}

const ORDER: readonly PreviewChange['kind'][] = ['closes', 'opens', 'audits'];

function pairChanges(list: readonly Judged[]): PreviewChange[] {
  const [first] = list;
  if (!first) return [];
  const families = new Set(list.map(({ family }) => family));
  const groups = Map.groupBy(
    list.flatMap(({ change, ...rest }) => (change ? [{ ...rest, ...change }] : [])),
    ({ kind, because }) => `${kind} ${because}`,
  );
  return [...groups.values()].map((group) => {
    const byTraffic = Map.groupBy(group, ({ traffic }) => traffic);
    const words = [...byTraffic].map(([traffic, found]) =>
      found.length === families.size ? traffic : `${traffic} (${FAMILY_NAMES[found[0]?.family ?? 'ipv4']})`,
    );
    const everything = group.length === list.length;
    const kind = group[0]?.kind ?? 'closes';
    const because = group[0]?.because ?? '';
    return {
      kind,
      from: [first.from],
      to: [first.to],
      traffic: everything ? ['everything'] : words,
      because,
    };
  });
}

const FAMILY_NAMES: Readonly<Record<Family, string>> = { ipv4: 'IPv4', ipv6: 'IPv6' };

/** Joins what differs in one end only. */
function merge(
  changes: readonly PreviewChange[],
  joined: 'from' | 'to',
  equal: 'from' | 'to',
): PreviewChange[] {
  const groups = Map.groupBy(changes, (one) =>
    JSON.stringify([one.kind, one[equal], one.traffic, one.because]),
  );
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first ? [{ ...first, [joined]: group.flatMap((one) => one[joined]) }] : [];
  });
}
