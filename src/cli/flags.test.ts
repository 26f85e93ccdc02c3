import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Flag, flagsHelp, parseFlags } from './flags.ts';

const TABLE: readonly Flag[] = [
  { name: 'output', short: 'o', placeholder: 'json|text', doc: 'Form.' },
  { name: 'exclude', placeholder: 'CIDR,…', doc: 'List.' },
  { name: 'yes', short: 'y', doc: 'Do not ask.' },
];
const flags = (...argv: string[]) => Object.fromEntries(parseFlags(argv, TABLE, 0).flags);

describe('a command line', () => {
  it('gives values by both spellings, short names and switches', () => {
    assert.deepEqual(flags('--output', 'json', '-y'), { output: 'json', yes: 'true' });
    assert.deepEqual(flags('--output=json'), { output: 'json' });
    assert.deepEqual(flags('-o', 'json'), { output: 'json' });
  });

  it('takes the last of several, and all of a list', () => {
    assert.deepEqual(flags('-o', 'json', '-o', 'text'), { output: 'text' });
    assert.deepEqual(flags('--exclude', 'a', '--exclude', 'b,c'), { exclude: 'a,b,c' });
  });

  it('keeps what is no flag, also after --', () => {
    assert.deepEqual(parseFlags(['a', '--', '-b'], TABLE, 2).positionals, ['a', '-b']);
  });

  for (const [argv, words] of [
    [['--outptu', 'json'], /there is no flag --outptu/],
    [['-x'], /there is no flag -x/],
    [['--output'], /--output needs a value: --output json\|text/],
    [['--yes=1'], /--yes is a switch and takes no value/],
    [['a', 'b'], /"b" is one argument too many/],
  ] as const) {
    it(`${argv.join(' ')} is refused in clear words`, () => {
      assert.throws(() => parseFlags(argv, TABLE, 1), { code: 'usage', message: words });
    });
  }

  it('that is mistyped is told what was meant', () => {
    assert.throws(() => parseFlags(['--outptu', 'json'], TABLE, 0), { hint: 'did you mean --output?' });
  });
});

it('the help lists every flag', () => {
  assert.equal(
    flagsHelp(TABLE),
    `  -o, --output json|text    Form.
  --exclude CIDR,…          List.
  -y, --yes                 Do not ask.`,
  );
});
