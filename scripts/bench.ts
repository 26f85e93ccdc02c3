/**
 * `npm run bench [-- NAME… [OPTIONS]]`: benches print ratios against a peer in the same run; none fails by the clock. `--smoke` runs all of
 * them small, to see that they work.
 */
import { spawnSync } from 'node:child_process';
import { ensurePackages, LAB_PACKAGES } from './packages.ts';

interface Bench {
  readonly about: string;
  /** In fresh network and mount namespaces; nft itself needs real root for large rule sets. */
  readonly namespaced?: boolean;
  readonly smoke: readonly string[];
}

const BENCHES: Readonly<Record<string, Bench>> = {
  rt: {
    about: 'routes, neighbours and forwarding entries against ip and bridge',
    namespaced: true,
    smoke: [],
  },
  nft: { about: 'sets and rules against nft', namespaced: true, smoke: [] },
  nodes: {
    about: 'the agent at cluster size, or any other with --peer CMD',
    namespaced: true,
    smoke: ['--nodes', '50,300', '--runs', '1', '--changes', '20'],
  },
  policy: {
    about: 'network policy at cluster size, by what happens to packets, or any other agent with --peer CMD',
    namespaced: true,
    smoke: ['--policies', '100', '--runs', '1', '--changes', '10'],
  },
  'policy-path': {
    about: 'what network policy costs the packets that it lets through',
    namespaced: true,
    smoke: ['--policies', '100', '--pairs', '2', '--ms', '100'],
  },
  kube: { about: 'the Kubernetes sources with many pods', smoke: ['5000'] },
  throughput: {
    about: 'a TCP flow between pods against the same path by hand',
    smoke: ['--pairs', '2', '--ms', '200'],
  },
};

const args = process.argv.slice(2);
const smoke = args.includes('--smoke');
const rest = args.filter((arg) => arg !== '--smoke');
const named = rest.filter((arg) => arg in BENCHES);
const options = rest.filter((arg) => !(arg in BENCHES));
if (options.includes('--help') || (named.length !== 1 && options.length > 0)) {
  for (const [name, { about }] of Object.entries(BENCHES))
    console.log(`npm run bench -- ${name.padEnd(10)} ${about}`);
  console.log('Options go to the one bench that is named; --smoke runs all of them small.');
  process.exit(options.includes('--help') ? 0 : 2);
}
if (ensurePackages(LAB_PACKAGES).length > 0) process.exit(1);
for (const name of named.length > 0 ? named : Object.keys(BENCHES)) {
  const bench = BENCHES[name];
  if (!bench) continue;
  console.log(`\n── ${name}: ${bench.about}`);
  const command = [process.execPath, `bench/${name}.ts`, ...(smoke ? bench.smoke : options)];
  if (bench.namespaced) command.unshift('unshare', process.getuid?.() === 0 ? '-nm' : '-Urnm');
  const [program = '', ...argv] = command;
  if (spawnSync(program, argv, { stdio: 'inherit' }).status !== 0) process.exitCode = 1;
}
