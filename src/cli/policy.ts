import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { systemClock } from '../agent/clock.ts';
import { worldOfManifests } from '../agent/policy-test/folder.ts';
import {
  isPolicy,
  type Manifest,
  parseManifests,
  policiesIn,
  titleOf,
} from '../agent/policy-test/manifests.ts';
import { testPolicies } from '../agent/policy-test/test-policies.ts';
import type { PolicyPreview, PreviewChange } from '../model/api.ts';
import { FairleadError } from '../model/errors.ts';
import { type Command, EXIT, OUTPUT, SOCKET } from './command.ts';
import { clientOf, print } from './context.ts';
import type { Arguments } from './flags.ts';
import { paint } from './table.ts';

export const policy: Command = {
  name: 'policy',
  arguments: 'test FILE…',
  summary: 'What policies would open and close, before they are applied.',
  details: () =>
    [
      'FILE holds NetworkPolicies and ClusterNetworkPolicies (YAML or JSON, several documents, - = standard input). They are created or replace those of',
      'their names: in the running cluster as the agent of this node knows it, or with --folder in the cluster that a folder of manifests would be',
      '(Namespaces, Pods, workloads, policies). Nothing is applied.',
      'Exit code 0: judged. 1: could not. 2: a manifest cannot be used. 3, with --expect-none: something would change, or not all could be judged.',
    ].join('\n'),
  flags: [
    {
      name: 'delete',
      placeholder: 'POLICY,…',
      doc: 'Policies that are deleted: networkpolicy/NAMESPACE/NAME, clusternetworkpolicy/NAME.',
    },
    { name: 'folder', placeholder: 'DIR', doc: 'Manifests to judge in, instead of the running cluster.' },
    { name: 'expect-none', doc: 'Exit code 3 when anything would open or close.' },
    OUTPUT,
    ...SOCKET,
  ],
  positionals: 1_000,
  async run(args) {
    const [verb, ...files] = args.positionals;
    const gone = args.flags.get('delete')?.split(',') ?? [];
    if (verb !== 'test' || files.length + gone.length === 0)
      throw new FairleadError('usage', 'say which manifests: fairlead policy test FILE…');
    const manifests = (await Promise.all(files.map(readManifests))).flat();
    const given = policiesIn(manifests);
    for (const other of manifests.filter((one) => !isPolicy(one)))
      process.stderr.write(`fairlead: ${other.where}: ${titleOf(other)} is no policy, and is left out\n`);
    if (given.networkPolicies.length + given.clusterNetworkPolicies.length + gone.length === 0)
      throw new FairleadError('usage', `there is no policy in ${files.map(titleOfFile).join(', ')}`);
    const folder = args.flags.get('folder');
    const raws = manifests.filter(isPolicy).map(({ raw }) => raw);
    const result =
      folder === undefined
        ? await testByAgent(args, { manifests: raws, delete: gone })
        : await testPolicies(worldOfManifests(await readFolder(folder), systemClock), given, gone);
    print(args, result, previewText);
    const changes = !result.complete || result.changes.some(({ kind }) => kind !== 'audits');
    return args.flags.has('expect-none') && changes ? EXIT.notWell : EXIT.done;
  },
};

/** Large clusters take seconds to judge, on a busy node many: an agent that answers at all is waited for, in milliseconds. */
const JUDGING = 120_000;

async function testByAgent(args: Arguments, asked: object): Promise<PolicyPreview> {
  await clientOf(args).get('/v1/drift');
  return clientOf(args, JUDGING).post<PolicyPreview>('/v1/policy-test', asked);
}

const titleOfFile = (file: string): string => (file === '-' ? 'standard input' : file);

async function readManifests(file: string): Promise<Manifest[]> {
  if (file === '-') return parseManifests(await textOf(process.stdin), titleOfFile(file));
  try {
    return await parseManifests(readFileSync(file, 'utf8'), file);
  } catch (error) {
    if (error instanceof FairleadError) throw error;
    throw new FairleadError('usage', `cannot read ${file}: ${(error as Error).message}`);
  }
}

/** All YAML and JSON files in it, at any depth, in order of their names. */
async function readFolder(folder: string): Promise<Manifest[]> {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new FairleadError('usage', `--folder ${folder} is no folder`);
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => /\.(ya?ml|json)$/.test(name)).sort();
  return (await Promise.all(files.map((name) => readManifests(join(folder, name))))).flat();
}

/** More changes, and more names in one, than these are counted for people. */
const CHANGES = 50;
const NAMES = 8;

const COLOURS = { closes: 'red', opens: 'green', audits: 'yellow' } as const;
const ACTIONS = { create: 'new', replace: 'replaced', unchanged: 'as it is', delete: 'deleted' } as const;

/** `fairlead policy test` for people. */
export function previewText(result: PolicyPreview): string {
  const { policies, changes, omitted, complete } = result;
  const about = policies.map(({ name, action, selects }) => {
    const who = selects.length === 0 ? paint('yellow', 'no pod') : names(selects);
    return `${paint('bold', name)}: ${ACTIONS[action]}, selects ${who}`;
  });
  const shown = changes.slice(0, CHANGES).map(changeText);
  const more = changes.length - shown.length + omitted;
  const count = (kind: PreviewChange['kind']) => changes.filter((change) => change.kind === kind).length;
  const total =
    changes.length === 0
      ? complete
        ? 'Nothing would open or close.'
        : 'Nothing of what was judged would open or close.'
      : `${count('closes')} to close, ${count('opens')} to open, ${count('audits')} that audit mode would tell${more > 0 ? `; ${more} of them are not shown (-o json has more)` : ''}`;
  const part = complete
    ? []
    : [
        paint('yellow', 'There was too much to judge: more may change than is shown.'),
        'Test policies that select less, or one at a time.',
      ];
  return [about.join('\n'), ...shown, ...part, total].join('\n\n');
}

function changeText({ kind, from, to, traffic, because }: PreviewChange): string {
  return `${paint(COLOURS[kind], kind)} ${names(from)} → ${names(to)}\n    ${traffic.join(', ')}\n    ${paint('dim', because)}`;
}

function names(list: readonly string[]): string {
  const rest = list.length - NAMES;
  return rest > 0 ? `${list.slice(0, NAMES).join(', ')} and ${rest} more` : list.join(', ');
}
