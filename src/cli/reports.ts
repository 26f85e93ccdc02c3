import type { DriftRecord, PlannedChange, Why, WhyStep } from '../model/api.ts';
import { moment, paint, table } from './table.ts';

const SIGNS = { add: '+', change: '~', remove: '-' } as const;
const COLOURS = { add: 'green', change: 'yellow', remove: 'red' } as const;

/** `fairlead plan` for people: what would be done, in the order in which it would be. */
export function planText(changes: readonly PlannedChange[]): string {
  if (changes.length === 0) return 'Nothing would change: this machine is as it should be.';
  const lines = changes.map((c) => {
    const head = `${SIGNS[c.action]} ${c.target} ${c.key}`;
    const detail = c.action === 'change' ? differences(c.before, c.after) : [];
    return [
      `${paint(COLOURS[c.action], head)}  ${paint('dim', c.why)}`,
      ...detail.map((d) => `    ${d}`),
    ].join('\n');
  });
  const count = (action: PlannedChange['action']) => changes.filter((c) => c.action === action).length;
  return `${lines.join('\n')}\n\n${count('add')} to add, ${count('change')} to change, ${count('remove')} to remove`;
}

/** The fields that differ, one line each. */
function differences(before: unknown, after: unknown): string[] {
  if (!isRecord(before) || !isRecord(after)) return [`${short(before)} → ${short(after)}`];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]))
    .map((field) => `${field}: ${short(before[field])} → ${short(after[field])}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function short(value: unknown): string {
  const words = value === undefined ? 'absent' : JSON.stringify(value);
  return words.length > 160 ? `${words.slice(0, 157)}…` : words;
}

/** `fairlead drift` for people, the newest last. */
export function driftText(records: readonly DriftRecord[], now: number): string {
  if (records.length === 0) return 'Nothing was altered behind the back of the agent since it started.';
  return table(
    ['AT', 'ROW', 'WAS', 'REPAIRED'],
    records.map((r) => [
      moment(r.at, now),
      `${r.target} ${r.key}`,
      r.kind,
      r.repaired === undefined ? paint('yellow', 'not yet') : `after ${r.repaired - r.at} ms`,
    ]),
  );
}

const familyHeading = ({ family }: WhyStep): string =>
  family === undefined ? '' : `${paint('bold', family === 'ipv4' ? 'IPv4' : 'IPv6')}\n`;

/** `fairlead why` for people: the path step by step, one family after the other, each step with the row that makes it so and what the kernel says. */
export function whyText(why: Why): string {
  const colour = why.reachable === 'yes' ? 'green' : why.reachable === 'no' ? 'red' : 'yellow';
  const depends = why.steps.some(({ at }) => at === 'policies');
  const unknown = depends ? 'it depends on the traffic' : 'it cannot be said from here';
  const words = { yes: 'packets can go', no: 'packets cannot go', unknown };
  const lines = why.steps.map((step, i) => {
    const before = why.steps[i - 1];
    const heading = step.family === before?.family ? '' : `${before ? '\n' : ''}${familyHeading(step)}`;
    const row = step.row
      ? paint('dim', `\n    row    ${step.row.target} ${step.row.key} (${step.row.state})`)
      : '';
    const kernel = step.kernel
      ? `\n    kernel ${step.kernel.text}${step.kernel.mismatch ? paint('red', '  ← not what is planned') : ''}`
      : '';
    return `${heading}${paint('bold', step.at)}: ${step.text}${row}${kernel}`;
  });
  return `${why.from} → ${why.to}: ${paint(colour, words[why.reachable])}\n\n${lines.join('\n')}`;
}
