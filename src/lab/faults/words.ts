import { FairleadError } from '../../model/errors.ts';

/**
 * Checks what was typed behind a fault's name against its usage text, `link NODE down|up`: lower-case words are the choices there are,
 * capitals stand for anything, brackets for what may be left out. Throws `usage`.
 */
export function checkWords(usage: string, args: readonly string[]): void {
  const [name = '', ...places] = usage.split(' ');
  const wrong = (words: string) =>
    new FairleadError('usage', `fault ${name}: ${words}`, { hint: `fault ${usage}` });
  for (const [i, place] of places.entries()) {
    const arg = args[i];
    const choices = place.replace(/[[\]]/g, '').split('|');
    if (arg === undefined) {
      if (place.startsWith('[')) continue;
      throw wrong(`${choices.join(' or ')} is missing`);
    }
    const closed = choices.every((choice) => /^[a-z]+$/.test(choice));
    if (closed && !choices.includes(arg)) throw wrong(`"${arg}" is none of ${choices.join(', ')}`);
  }
  if (args.length > places.length) throw wrong(`"${args[places.length]}" is one word too many`);
}
