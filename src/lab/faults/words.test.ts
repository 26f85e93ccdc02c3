import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkWords } from './words.ts';

test('what is typed behind a fault is checked against its usage', () => {
  checkWords('link NODE down|up', ['n1', 'up']);
  checkWords('api away|back [NODE]', ['away']);
  checkWords('api away|back [NODE]', ['back', 'n1']);
  checkWords('api-status CODE|off [VERB|*] [RESOURCE]', ['403', '*', 'nodes']);
  checkWords('api-compact', []);

  const cases: readonly [string, readonly string[], RegExp][] = [
    ['link NODE down|up', [], /^fault link: NODE is missing$/],
    ['link NODE down|up', ['n1'], /^fault link: down or up is missing$/],
    ['link NODE down|up', ['n1', 'sideways'], /^fault link: "sideways" is none of down, up$/],
    ['link NODE down|up', ['n1', 'up', 'n2'], /^fault link: "n2" is one word too many$/],
    ['api-compact', ['now'], /^fault api-compact: "now" is one word too many$/],
  ];
  for (const [usage, args, message] of cases)
    assert.throws(() => checkWords(usage, args), { code: 'usage', message, hint: `fault ${usage}` });
});
