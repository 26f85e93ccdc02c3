/** A story: commands above, expected tables below, played over a fake machine in bad weather. See README.md. */
import assert from 'node:assert/strict';
import { ScriptLab } from './lab.ts';
import { type Page, WORDS } from './words.ts';

const DEFAULT_WEATHER = 0.1;

export interface Story {
  readonly commands: readonly { readonly line: number; readonly words: readonly string[] }[];
  readonly tables: ReadonlyMap<string, string>;
}

export function parseStory(text: string): Story {
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

/** Plays a story once; throws with the line and the seed when it ends otherwise than told. Returns how many faults struck. */
export async function playStory(script: Story, seed: number): Promise<number> {
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
