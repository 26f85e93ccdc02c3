import { parseArgs } from 'node:util';
import { FairleadError } from '../model/errors.ts';
import { didYouMean } from '../sources/config/nearest.ts';

/** A flag of a command. Without a placeholder it is a switch. */
export interface Flag {
  readonly name: string;
  readonly short?: string;
  readonly placeholder?: string;
  readonly doc: string;
}

export interface Arguments {
  /** Text by flag name; switches have `true`. The last one wins; lists are joined by commas. */
  readonly flags: ReadonlyMap<string, string>;
  readonly positionals: readonly string[];
}

/** Reads a command line by its flag table. Throws `usage` for what is not in the table. */
export function parseFlags(argv: readonly string[], table: readonly Flag[], positionals: number): Arguments {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {};
  for (const { name, short, placeholder } of table) {
    options[name] = { type: placeholder ? 'string' : 'boolean', ...(short ? { short } : {}) };
  }
  const { tokens } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const flags = new Map<string, string>();
  const rest: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') rest.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = table.find((f) => f.name === token.name);
    if (!flag) throw unknown(token.rawName, table);
    if (flag.placeholder && token.value === undefined) {
      throw new FairleadError('usage', `--${flag.name} needs a value: --${flag.name} ${flag.placeholder}`);
    }
    if (!flag.placeholder && token.value !== undefined) {
      throw new FairleadError('usage', `--${flag.name} is a switch and takes no value`);
    }
    const before = flag.placeholder?.includes(',') ? flags.get(flag.name) : undefined;
    const value = token.value ?? 'true';
    flags.set(flag.name, before === undefined ? value : `${before},${value}`);
  }
  if (rest.length > positionals) {
    throw new FairleadError('usage', `"${rest[positionals]}" is one argument too many`);
  }
  return { flags, positionals: rest };
}

/** The flags part of a command's help. */
export function flagsHelp(table: readonly Flag[]): string {
  return table
    .map(({ name, short, placeholder, doc }) => {
      const head = `  ${short ? `-${short}, ` : ''}--${name}${placeholder ? ` ${placeholder}` : ''}`;
      return `${head.padEnd(26)}  ${doc}`;
    })
    .join('\n');
}

function unknown(raw: string, table: readonly Flag[]): FairleadError {
  const names = table.map((f) => `--${f.name}`);
  const hint = didYouMean(raw, names) ?? 'see --help';
  return new FairleadError('usage', `there is no flag ${raw}`, { hint });
}
