/**
 * Runs every script of this folder with many seeds. `SEED=17` runs one, `SEEDS=500` runs so many, `SCRIPT=drift` those whose name
 * holds the word. See README.md.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ScriptLab } from './lab.ts';
import { type Page, WORDS } from './words.ts';

const FOLDER = new URL('.', import.meta.url);
const { SEED, SEEDS = '50', SCRIPT = '' } = process.env;
const seeds = SEED === undefined ? Array.from({ length: Number(SEEDS) }, (_, i) => i) : [Number(SEED)];
const DEFAULT_WEATHER = 0.1;

interface Script {
  readonly commands: readonly { readonly line: number; readonly words: readonly string[] }[];
  readonly tables: ReadonlyMap<string, string>;
}

function parse(text: string): Script {
  const [head = '', ...sections] = text.split(/^-- (\S+) --\n/m);
  const tables = new Map<string, string>();
  for (let i = 0; i < sections.length; i += 2) {
    tables.set(sections[i] ?? '', (sections[i + 1] ?? '').trimEnd().split('\n').sort().join('\n'));
  }
  const commands = head
    .split('\n')
    .map((line, i) => ({ line: i + 1, words: line.trim().split(/\s+/) }))
    .filter(({ words: [first = ''] }) => first !== '' && !first.startsWith('#'));
  return { commands, tables };
}

/** Runs a script once. Returns how many faults struck. */
async function run(script: Script, seed: number): Promise<number> {
  const lab = new ScriptLab(seed);
  const page: Page = { tables: script.tables, snapshots: new Map() };
  lab.weather(DEFAULT_WEATHER);
  for (const { line, words } of script.commands) {
    const [name = '', ...args] = words;
    try {
      const word = WORDS[name];
      assert.ok(word, `nobody knows the word "${name}"`);
      await word(lab, args, page);
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      throw new Error(`line ${line}, SEED=${seed}: ${words.join(' ')}\n${said}`, { cause: error });
    }
  }
  lab.kill();
  assert.deepEqual(lab.machine.faults.unconsumed(), [], `SEED=${seed}: armed faults that never struck`);
  return lab.machine.faults.hits;
}

const files = readdirSync(FOLDER).filter((file) => file.endsWith('.txt') && file.includes(SCRIPT));
assert.ok(files.length > 0, 'there are scripts');

for (const file of files) {
  const text = readFileSync(new URL(file, FOLDER), 'utf8');
  const title = /^# (.*)/.exec(text)?.[1] ?? '';
  test(`${file}: ${title}`, async () => {
    const script = parse(text);
    let hits = 0;
    for (const seed of seeds) hits += await run(script, seed);
    assert.ok(hits > 0, 'the weather never struck');
  });
}
