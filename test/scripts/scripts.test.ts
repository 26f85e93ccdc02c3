/**
 * Runs every script of this folder with many seeds. `SEED=17` runs one, `SEEDS=500` runs so many, `SCRIPT=drift` those whose name
 * holds the word. See README.md.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SEED as FIRST, runs } from '../support/property.ts';
import { parseStory, playStory } from './story.ts';

const FOLDER = new URL('.', import.meta.url);
const { SEED, SEEDS = String(runs(50)), SCRIPT = '' } = process.env;
const seeds =
  SEED === undefined ? Array.from({ length: Number(SEEDS) }, (_, i) => FIRST + i) : [Number(SEED)];
const files = readdirSync(FOLDER).filter((file) => file.endsWith('.txt') && file.includes(SCRIPT));
assert.ok(files.length > 0, 'there are scripts');

for (const file of files) {
  const text = readFileSync(new URL(file, FOLDER), 'utf8');
  const title = /^# (.*)/.exec(text)?.[1] ?? '';
  test(`${file}: ${title}`, async () => {
    const script = parseStory(text);
    let hits = 0;
    for (const seed of seeds) hits += await playStory(script, seed);
    assert.ok(hits > 0, 'the weather never struck');
  });
}
