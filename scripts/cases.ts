/**
 * `npm run cases -- KIND FOLDER`: runs anybody's cases of one kind, prints each that differs and `N passed, N failed`. It knows of a case only
 * what its format says.
 *
 * Kinds:
 * - `scripts`: stories as in test/scripts (`*.txt`, format in its README), each with 50 seeds (SEEDS=N for another number).
 * - `policy`, `cluster-policy`: cases as in test/conformance/data/{netpol-cases,cnp-cases} (formats in their READMEs), each through the planner
 *   and, where network namespaces can be made, as real packets in a lab. `--planner-only`, `--lab-only`, `--transport layer2|vxlan` (default: both),
 *   `--api lab|real` (default: the lab's own API server), `--only WORD` (cases whose name holds the word).
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseStory, playStory } from '../test/scripts/story.ts';
import type { CaseKind } from '../test/support/policy/cases.ts';
import { policyCases } from '../test/support/policy/everywhere.ts';
import { CaseError } from '../test/support/policy/field.ts';

/** Runs the cases of a folder; yields one verdict a case, `undefined` = passed. */
type Runner = (folder: string) => AsyncIterable<{ name: string; difference: string | undefined }>;

const KINDS: Readonly<Record<string, Runner>> = {
  scripts,
  policy: policies('policy'),
  'cluster-policy': policies('cluster-policy'),
};

const { values: flags, positionals } = readFlags();
const [kind = '', folder = '', ...rest] = positionals;
const runner = KINDS[kind];
if (!runner || folder === '' || rest.length > 0) usage();

const counts = { passed: 0, failed: 0 };
try {
  for await (const { name, difference } of runner(folder)) {
    if (difference === undefined) counts.passed++;
    else {
      counts.failed++;
      console.log(`FAILED ${name}\n${difference.replace(/^/gm, '    ')}`);
    }
  }
} catch (error) {
  if (!(error instanceof CaseError)) throw error;
  console.error(error.message);
  process.exit(2);
}
if (counts.passed + counts.failed === 0) console.error(`no cases of kind ${kind} in ${folder}`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;

function readFlags() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        'planner-only': { type: 'boolean', default: false },
        'lab-only': { type: 'boolean', default: false },
        transport: { type: 'string' },
        api: { type: 'string', default: 'lab' },
        only: { type: 'string', default: '' },
      },
    });
  } catch (error) {
    return usage(error instanceof Error ? `${error.message}\n` : '');
  }
}

function usage(before = ''): never {
  console.error(
    `${before}usage: npm run cases -- KIND FOLDER\nkinds: ${Object.keys(KINDS).join(', ')}\n` +
      'of policies: [--planner-only | --lab-only] [--transport layer2|vxlan] [--api lab|real] [--only WORD]',
  );
  process.exit(2);
}

function policies(kind: CaseKind): Runner {
  return (folder) => policyCases(kind, folder, flags);
}

async function* scripts(dir: string): ReturnType<Runner> {
  for (const name of globSync('**/*.txt', { cwd: dir }).sort()) {
    let difference: string | undefined;
    try {
      const story = parseStory(readFileSync(join(dir, name), 'utf8'));
      for (let seed = 0; seed < Number(process.env.SEEDS ?? 50); seed++) await playStory(story, seed);
    } catch (error) {
      difference = error instanceof Error ? error.message : String(error);
    }
    yield { name, difference };
  }
}
