import assert from 'node:assert/strict';
import { it } from 'node:test';
import { clip } from './table.ts';

it('lines are cut where a terminal ends, and colours are not counted', () => {
  assert.equal(clip('short\na longer line', 8), 'short\na longe…');
  assert.equal(clip('exactly8', 8), 'exactly8');
  assert.equal(clip('\x1b[32mgreen\x1b[39m and more', 8), '\x1b[32mgreen\x1b[39m a…');
  assert.equal(clip('\x1b[32mgreen grass\x1b[39m', 8), '\x1b[32mgreen g…\x1b[39m');
  assert.equal(clip('✓✓✓✓', 4), '✓✓✓✓');
});
