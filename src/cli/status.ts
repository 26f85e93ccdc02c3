import type { RowStatus, Status, TargetStatus } from '../model/api.ts';
import { moment, paint, span, table } from './table.ts';

/** `fairlead status` for people: the state, then what is not well, then the numbers. */
export function statusText(status: Status, now: number): string {
  const parts = [
    headline(status, now),
    policies(status),
    sources(status, now),
    targets(status),
    pairs(status),
  ];
  const open = status.targets.flatMap((t) => t.rows.filter((row) => row.state !== 'done'));
  // What is held is counted above, and there is nothing to say of each.
  const [kept, bad] = [
    open.filter((row) => row.state === 'held'),
    open.filter((row) => row.state !== 'held'),
  ];
  parts.push(rows(bad, now), held(kept));
  for (const target of status.targets) {
    if (target.error) parts.push(`${paint('red', `cannot read ${target.name}`)}: ${target.error}`);
  }
  if (status.problems.length > 0) {
    parts.push(
      status.problems
        .map((p) => `${paint('yellow', p.object)}: ${p.message}${p.hint ? paint('dim', ` (${p.hint})`) : ''}`)
        .join('\n'),
    );
  }
  return parts.filter((part) => part !== '').join('\n\n');
}

function headline(status: Status, now: number): string {
  const style = status.state === 'ready' ? 'green' : status.state === 'degraded' ? 'red' : 'yellow';
  const mtu = status.podMtu === undefined ? '' : `, pod MTU ${status.podMtu}`;
  const count = status.problems.length;
  const problems = count === 0 ? '' : `, ${paint('yellow', `${count} problem${count === 1 ? '' : 's'}`)}`;
  return `${paint('bold', `Node ${status.node}`)}: ${paint(style, status.state)}${problems}, agent ${status.version} up ${span(status.started, now)}${mtu}`;
}

/** Sources whose objects are counted in the line about policies. */
const COUNTED: ReadonlySet<string> = new Set(['networkPolicies', 'clusterNetworkPolicies', 'pods']);

/** More names than these are counted. */
const NAMES = 5;

function policies({ policy, sources }: Status): string {
  if (!policy) return '';
  const config = sources.find(({ name }) => name === 'config');
  if (config && !config.ready && config.objects === 0) return unknownPolicy(config.name);
  if (!policy.enabled) return `Policy: ${paint('yellow', 'not enforced')} (setting policy.enabled)`;
  const unread = sources.find(({ name, ready, objects }) => COUNTED.has(name) && !ready && objects === 0);
  if (unread) return unknownPolicy(unread.name);
  const { networkPolicies, clusterNetworkPolicies, inForce, pods, selected, invalid } = policy;
  const all = `${networkPolicies} NetworkPolic${networkPolicies === 1 ? 'y' : 'ies'}, ${clusterNetworkPolicies} ClusterNetworkPolic${clusterNetworkPolicies === 1 ? 'y' : 'ies'}`;
  const here = `${inForce} of them here, where ${selected} of ${pods} pods ${selected === 1 ? 'is' : 'are'} selected`;
  const more = invalid.length > NAMES ? ` and ${invalid.length - NAMES} more` : '';
  const bad =
    invalid.length === 0
      ? ''
      : `; ${paint('red', 'invalid, so closed')}: ${invalid.slice(0, NAMES).join(', ')}${more}`;
  return `Policy: ${all}, ${here}${bad}`;
}

const unknownPolicy = (source: string): string =>
  `Policy: ${paint('yellow', 'not known')}, because source ${source} is away; the rules in the kernel stay`;

function sources(status: Status, now: number): string {
  return table(
    ['SOURCE', 'STATE', 'SINCE', 'OBJECTS', 'REASON'],
    status.sources.map((s) => [
      s.name,
      s.ready ? paint('green', 'ready') : paint('red', 'away'),
      span(s.since, now),
      String(s.objects),
      s.ready ? '' : (s.reason ?? ''),
    ]),
  );
}

function targets(status: Status): string {
  const shown = status.targets.filter((t) => t.wanted + t.extra + t.failed > 0 || t.error);
  return table(
    ['STAGE', 'KIND', 'WANTED', 'DONE', 'WAITING', 'FAILED', 'TO REMOVE'],
    shown.map((t: TargetStatus) => [
      String(t.stage),
      t.name,
      String(t.wanted),
      t.done === t.wanted ? paint('green', String(t.done)) : String(t.done),
      t.waiting > 0 ? paint('yellow', String(t.waiting)) : '0',
      t.failed > 0 ? paint('red', String(t.failed)) : '0',
      toRemove(t),
    ]),
  );
}

/** What nothing asks for is on its way out, unless a source is away: then it stays, and the lines below say why. */
function toRemove({ extra, rows }: TargetStatus): string {
  if (extra === 0) return '0';
  return paint('yellow', rows.some((row) => row.state === 'held') ? `${extra} held` : String(extra));
}

function pairs(status: Status): string {
  return table(
    ['TO NODE', 'TRANSPORT', 'BECAUSE'],
    status.pairs.map((p) => [p.node, p.transport, p.reason]),
  );
}

/** Why rows are not removed: the gate's reason once, not in each of them. */
function held(list: readonly RowStatus[]): string {
  const reasons = new Set(list.map((row) => row.message ?? ''));
  return [...reasons]
    .map((reason) => `${paint('yellow', 'held')}: nothing is removed, because ${reason}`)
    .join('\n');
}

/** Rows that are not as wanted, with the kernel's own words and the next try. */
export function rows(list: readonly RowStatus[], now: number): string {
  return table(
    ['ROW', 'STATE', 'WHY', 'SAYS', 'NEXT TRY'],
    list.map((row) => [
      `${row.target} ${row.key}`,
      row.state === 'failed' ? paint('red', row.state) : row.state,
      row.why,
      row.message ?? '',
      row.nextTry === undefined
        ? ''
        : row.nextTry > now
          ? `in ${span(now, row.nextTry)}${row.attempts ? `, try ${row.attempts + 1}` : ''}`
          : `now (${moment(row.nextTry, now)})`,
    ]),
  );
}
