/** The lab's program: `npm run lab`, `./fairlead lab VERB …`. One verb a function; `init` is what runs inside. */
import { dirname, join } from 'node:path';
import { exitCodeOf } from '../cli/command.ts';
import { describe, FairleadError } from '../model/errors.ts';
import { didYouMean } from '../sources/config/nearest.ts';
import { init } from './init.ts';
import { up } from './outside/up.ts';
import { VERBS } from './outside/verbs.ts';

const INIT = '__init';

async function main(argv: readonly string[]): Promise<number> {
  const [verb = 'up', ...rest] = argv[0]?.startsWith('-') && !isHelp(argv[0]) ? ['up', ...argv] : argv;
  if (verb === INIT) {
    await init(rest[0] ?? '');
    return await new Promise<never>(() => undefined);
  }
  // What else `exec` is given may be of the command that it runs.
  const own = verb === 'exec' ? rest.slice(0, 1) : rest;
  if (isHelp(verb) || own.some((word) => word === '--help' || word === '-h')) {
    console.log(help());
    return 0;
  }
  if (verb === 'up')
    return up(rest, { program: [process.execPath, import.meta.filename, INIT], root: root() });
  const known = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (!known) {
    const hint = didYouMean(verb, ['up', ...Object.keys(VERBS)]) ?? 'see fairlead lab --help';
    throw new FairleadError('usage', `there is no verb "${verb}"`, { hint });
  }
  return known.run(rest);
}

const isHelp = (word: string | undefined): boolean => word === 'help' || word === '--help' || word === '-h';

/** `dist/lab.cjs` and `src/lab/main.ts` both belong to the folder that holds `dist/`. */
function root(): string {
  const here = import.meta.dirname;
  return here.endsWith('/dist') ? dirname(here) : join(here, '../..');
}

function help(): string {
  const verbs = Object.entries(VERBS).map(
    ([name, { usage, what }]) => `  ${`${name} ${usage}`.padEnd(46)} ${what}`,
  );
  return `usage: fairlead lab [VERB] [--name LAB]

  up (the default)                               starts a cluster; Ctrl-C ends it
     --nodes 3 --pods 2                          machines, pods on each
     --transport auto|layer2|vxlan               how pods' packets travel between nodes
     --family dual|ipv4|ipv6
     --segments 2 --mtu 1500                     underlay wires (joined by a router), their MTU
     --topology FILE                             a topology of your own (JSON or YAML) instead
     --api lab|real                              the lab's own API server, or the one in $FAIRLEAD_KUBE
     --detach                                    returns when it is up; "down" ends it
     --no-wait --no-agents                       do not wait for Ready; leave the agents off
     --name default                              several labs run side by side
     --state-dir DIR                             where labs keep their folders
${verbs.join('\n')}`;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(
      `fairlead lab: ${error instanceof FairleadError ? describe(error) : (error as Error).stack}`,
    );
    process.exit(exitCodeOf(error));
  },
);
