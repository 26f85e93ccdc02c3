/** Documents that people follow: links lead somewhere, rooms explain themselves, the table of settings is the one of the code. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { GUIDE, guideWithTable } from '../../scripts/settings-table.ts';

const SKIPPED = ['node_modules', 'dist', '.git'];
const documents = globSync('**/*.md', { exclude: (path) => SKIPPED.includes(String(path)) });

interface Link {
  readonly path: string;
  readonly anchor: string;
}

/** Relative links of a Markdown text, outside of code. */
function linksOf(markdown: string): Link[] {
  const prose = withoutFences(markdown).replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, '_'));
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => ({ path: link.split('#')[0] ?? '', anchor: link.split('#')[1] ?? '' }));
}

const withoutFences = (markdown: string): string => markdown.replace(/^```[\s\S]*?^```/gm, '');

/** Anchors as GitHub makes them: lower case, words joined by "-", other signs left out. */
function anchorsOf(markdown: string): string[] {
  return [...withoutFences(markdown).matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('links, anchors and code fences are told apart', () => {
  const text = '# A b: c\n[x](a.md#top) [y](https://a) `[no](no.md)`\n```\n[no](no.md)\n# no\n```\n[`z`](z)';
  assert.deepEqual(linksOf(text), [
    { path: 'a.md', anchor: 'top' },
    { path: 'z', anchor: '' },
  ]);
  assert.deepEqual(anchorsOf(text), ['a-b-c']);
});

test('relative links in Markdown files lead to a file, and to a heading in it', () => {
  assert.ok(documents.length > 10);
  const wrong: string[] = [];
  for (const file of documents) {
    for (const { path, anchor } of linksOf(readFileSync(file, 'utf8'))) {
      const target = path === '' ? file : join(dirname(file), path);
      const shown = `${file} → ${path}${anchor && `#${anchor}`}`;
      if (!existsSync(target)) wrong.push(shown);
      else if (anchor !== '' && !anchorsOf(readFileSync(target, 'utf8')).includes(anchor)) wrong.push(shown);
    }
  }
  assert.deepEqual(wrong, []);
});

test('every room with planners, sources or targets has a README', () => {
  const rooms = globSync('src/{plan,sources,targets}/*').filter((path) => statSync(path).isDirectory());
  assert.ok(rooms.length > 8);
  assert.deepEqual(
    rooms.filter((room) => !existsSync(join(room, 'README.md'))),
    [],
  );
});

test('the table of settings in the user guide is that of the code (sh scripts/node.sh scripts/settings-table.ts)', () => {
  const guide = readFileSync(GUIDE, 'utf8');
  // The formatter pads cells.
  const plain = (text: string) => text.replace(/ +/g, ' ').replace(/-{3,}/g, '---');
  assert.equal(plain(guide), plain(guideWithTable(guide)));
});

test('excerpts in the tour are lines of the files that they name', () => {
  const tour = readFileSync('docs/tour.md', 'utf8');
  const excerpts = [...tour.matchAll(/^```ts (\S+)\n([\s\S]*?)^```/gm)];
  assert.ok(excerpts.length >= 4);
  const flush = (text: string) => text.replace(/^ +/gm, '');
  for (const [, file = '', lines = ''] of excerpts)
    assert.ok(flush(readFileSync(file, 'utf8')).includes(flush(lines)), `${file} no longer says:\n${lines}`);
});
