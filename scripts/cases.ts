/**
 * `npm run cases -- KIND FOLDER`: runs anybody's cases of one kind, prints each that differs and `N passed, N failed`. It knows of a case only
 * what its format says.
 *
 * Kinds: `scripts`: stories as in test/scripts (`*.txt`, format in its README), each with 50 seeds (SEEDS=N for another number).
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseStory, playStory } from '../test/scripts/story.ts';

/** Runs the cases of a folder; yields one verdict a case, `undefined` = passed. */
type Runner = (folder: string) => AsyncIterable<{ name: string; difference: string | undefined }>;

const KINDS: Readonly<Record<string, Runner>> = { scripts };

const [kind = '', folder = ''] = process.argv.slice(2);
const runner = KINDS[kind];
if (!runner || folder === '') {
  console.error(`usage: npm run cases -- KIND FOLDER\nkinds: ${Object.keys(KINDS).join(', ')}`);
  process.exit(2);
}

const counts = { passed: 0, failed: 0 };
for await (const { name, difference } of runner(folder)) {
  if (difference === undefined) counts.passed++;
  else {
    counts.failed++;
    console.log(`FAILED ${name}\n${difference.replace(/^/gm, '    ')}`);
  }
}
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;

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
