import type { PolicyProtocol } from '../../../model/cluster/policy.ts';
import { Memo } from '../../../model/memo.ts';
import { FAMILIES } from '../../../model/net/ip.ts';
import { daddr, dport, l4proto } from '../../nft/field.ts';
import { inSet, is } from '../../nft/match.ts';
import { has } from '../../nft/rule.ts';
import type { CompiledPort, CompiledRule } from '../compiled.ts';
import { portSet, rulePortSet } from './names.ts';
import type { Match, Matches } from './peers.ts';
import { elementRow, setRow } from './rows.ts';

export const PROTOCOLS = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const;

/** Ports of one protocol, both ends included. */
export interface PortRange {
  readonly protocol: PolicyProtocol;
  readonly from: number;
  readonly to: number;
}

const LAST_PORT = 65535;
/** With more than these, a rule's numbered ports are in a set: one lookup instead of a rule for each. */
const MOST_INLINE = 2;

/** Destination ports. `peers`: with how many other matches each of these will be combined. */
export function portMatches({ ports }: CompiledRule, scope: string, text: string, peers: number): Matches {
  if (ports === 'any') return { matches: [{ parts: [] }], rows: [] };
  const named = ports.flatMap((port) => ('set' in port ? namedMatches(port.set) : []));
  const ranges = disjoint(ports);
  if (ranges.length <= (peers > MOST_INLINE ? 1 : MOST_INLINE))
    return { matches: [...ranges.map(inline), ...named], rows: [] };
  const set = rulePortSet(scope);
  const why = `ports of ${text}`;
  return {
    matches: [{ parts: [inSet([l4proto, dport('th')], set)] }, ...named],
    rows: [
      setRow(why, set, ['inet_proto', 'inet_service'], {
        interval: ranges.some(({ from, to }) => from !== to),
      }),
      ...ranges.map((range) => elementRow(why, set, [PROTOCOLS[range.protocol], rangeText(range)])),
    ],
  };
}

/** Destinations that have a port of that name, with its number. */
function namedMatches(set: string): readonly Match[] {
  return NAMED.get(set, () =>
    FAMILIES.map((family) => ({
      parts: [inSet([daddr(family), l4proto, dport('th')], portSet(set, family))],
      family,
    })),
  );
}

function inline(range: PortRange): Match {
  const text = rangeText(range);
  return INLINE.get(`${range.protocol} ${text}`, () => {
    const protocol = has(PROTOCOLS[range.protocol]);
    const whole = range.from === 0 && range.to === LAST_PORT;
    // The kernel compares a port in passing; which protocol it is takes a call.
    return { parts: whole ? [protocol] : [is(dport('th'), text), protocol], first: true };
  });
}

const NAMED = new Memo<readonly Match[]>(10_000);
const INLINE = new Memo<Match>(10_000);

function rangeText({ from, to }: PortRange): string {
  return from === to ? `${from}` : `${from}-${to}`;
}

/** Numbered ports without overlaps, which the kernel would refuse in one set. In order of protocol and number. */
export function disjoint(ports: readonly CompiledPort[]): PortRange[] {
  const result: PortRange[] = [];
  for (const range of ports.flatMap(rangeOf).sort(byStart)) {
    const last = result.at(-1);
    if (!last || last.protocol !== range.protocol || last.to < range.from) result.push(range);
    else if (last.to < range.to) result[result.length - 1] = { ...last, to: range.to };
  }
  return result;
}

function rangeOf(port: CompiledPort): PortRange[] {
  if ('set' in port) return [];
  return [{ protocol: port.protocol, ...('from' in port ? port : { from: 0, to: LAST_PORT }) }];
}

function byStart(a: PortRange, b: PortRange): number {
  return a.protocol === b.protocol ? a.from - b.from : a.protocol < b.protocol ? -1 : 1;
}
