import type { Denial, DenialEnd } from '../model/api.ts';
import { FairleadError } from '../model/errors.ts';
import { type Command, EXIT, OUTPUT, SOCKET } from './command.ts';
import { clientOf, print, wantsJson } from './context.ts';
import { moment, paint, table } from './table.ts';

export const denials: Command = {
  name: 'denials',
  summary:
    'Packets that policies denied on this node, or would have denied in audit mode: which policy, pods, port.',
  details: () =>
    'The kernel tells up to policy.logRate packets a second of each chain that denies, and of all together as many new ones are shown; equal ones within 10 s are one line with a count.',
  flags: [
    { name: 'follow', short: 'f', doc: 'Go on and print new ones as they come.' },
    {
      name: 'namespace',
      short: 'n',
      placeholder: 'NAME',
      doc: 'Only those of which one end is a pod of this namespace.',
    },
    OUTPUT,
    ...SOCKET,
  ],
  positionals: 0,
  async run(args) {
    const namespace = args.flags.get('namespace');
    const query = namespace === undefined ? '' : `?${new URLSearchParams({ namespace })}`;
    const client = clientOf(args);
    const known = await client.get<Denial[]>(`/v1/denials${query}`);
    if (!args.flags.has('follow')) {
      print(args, known, (list) => denialsText(list, Date.now()));
      return EXIT.done;
    }
    const show = (denial: Denial) =>
      process.stdout.write(`${wantsJson(args) ? JSON.stringify(denial) : denialLine(denial, Date.now())}\n`);
    known.forEach(show);
    for await (const denial of client.lines<Denial>(`/v1/denials/watch${query}`)) show(denial);
    throw new FairleadError('no-agent', 'the agent went away');
  },
};

/** `fairlead denials` for people, the newest last. A client that tried both families one after the other is one line. */
export function denialsText(list: readonly Denial[], now: number): string {
  if (list.length === 0) return 'Nothing was denied since the agent started.';
  return table(
    ['AT', 'VERDICT', 'DIRECTION', 'FROM', 'TO', 'PORT', 'TIMES', 'BECAUSE'],
    bothFamilies(list).map((denial) => [
      moment(denial.at, now),
      verdictText(denial),
      denial.direction,
      endText(denial.from),
      endText(denial.to),
      portText(denial),
      String(denial.count),
      denial.text,
    ]),
  );
}

/** So far apart may the two families of one denial be, milliseconds: as long as equal packets are one. */
const APART = 10_000;

/** Joins denials that differ by the family alone: between the same pods or Nodes, about the same port, for the same reason. */
function bothFamilies(list: readonly Denial[]): readonly Denial[] {
  const joined: Denial[] = [];
  const open = new Map<string, number>();
  for (const denial of list) {
    const key = withoutAddresses(denial);
    const at = open.get(key);
    const before = at === undefined ? undefined : joined[at];
    if (
      at === undefined ||
      !before ||
      familyOf(before) === familyOf(denial) ||
      denial.at - before.at > APART
    ) {
      open.set(key, joined.push(denial) - 1);
      continue;
    }
    open.delete(key);
    const text = (['from', 'to'] as const).reduce(
      (words, end) => words.replaceAll(`(${before[end].ip})`, `(${before[end].ip}, ${denial[end].ip})`),
      before.text,
    );
    joined[at] = { ...before, count: before.count + denial.count, text };
  }
  return joined;
}

function withoutAddresses({ kind, direction, from, to, protocol, port, text }: Denial): string {
  const words = text.replaceAll(`(${from.ip})`, '').replaceAll(`(${to.ip})`, '');
  return [kind, direction, endText(from), endText(to), protocol, port, words].join('\n');
}

const familyOf = ({ from }: Denial): 'ipv4' | 'ipv6' => (from.ip.includes(':') ? 'ipv6' : 'ipv4');

/** One line of `fairlead denials --follow`. */
export function denialLine(denial: Denial, now: number): string {
  const { at, direction, from, to, count, text } = denial;
  const times = count > 1 ? ` (${count} times)` : '';
  return `${moment(at, now)} ${verdictText(denial)} ${direction} ${portText(denial)} ${endText(from)} → ${endText(to)}${times}: ${text}`;
}

const verdictText = ({ kind }: Denial): string =>
  kind === 'deny' ? paint('red', 'denied') : paint('yellow', 'audited');

const portText = ({ protocol, port }: Denial): string =>
  port === undefined ? protocol : `${protocol} ${port}`;

const endText = ({ ip, pod, node }: DenialEnd): string => pod ?? (node === undefined ? ip : `node ${node}`);
