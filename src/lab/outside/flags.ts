import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { type Flag, parseFlags } from '../../cli/flags.ts';
import { FairleadError } from '../../model/errors.ts';
import type { Family } from '../../model/net/ip.ts';
import type { LabOptions } from '../options.ts';
import { checkTopology, defaultTopology, type Topology } from '../topology/topology.ts';

export const NAME_FLAG: Flag = { name: 'name', placeholder: 'LAB', doc: 'which lab' };

const UP_FLAGS: readonly Flag[] = [
  NAME_FLAG,
  { name: 'nodes', placeholder: 'N', doc: 'machines' },
  { name: 'pods', placeholder: 'N', doc: 'pods on each node' },
  { name: 'transport', placeholder: 'NAME', doc: 'layer2, vxlan or auto' },
  { name: 'family', placeholder: 'F', doc: 'dual, ipv4 or ipv6' },
  { name: 'segments', placeholder: 'N', doc: 'underlay wires' },
  { name: 'mtu', placeholder: 'BYTES', doc: 'MTU of the wires' },
  { name: 'topology', placeholder: 'FILE', doc: 'a topology of your own' },
  { name: 'api', placeholder: 'WHICH', doc: 'lab or real' },
  { name: 'state-dir', placeholder: 'DIR', doc: 'where labs keep their folders' },
  { name: 'detach', doc: 'return when it is up' },
  { name: 'no-wait', doc: 'do not wait for Ready' },
  { name: 'no-agents', doc: 'leave the agents off' },
];

const FAMILIES: Readonly<Record<'dual' | Family, readonly Family[]>> = {
  dual: ['ipv4', 'ipv6'],
  ipv4: ['ipv4'],
  ipv6: ['ipv6'],
};

export interface UpArguments {
  readonly name: string;
  readonly stateDir: string | undefined;
  readonly detach: boolean;
  readonly options: LabOptions;
}

/** Reads `up`'s command line. Throws `usage` or `bad-topology`, naming the flag. */
export function readUp(argv: readonly string[], root: string): UpArguments {
  const { flags } = parseFlags(argv, UP_FLAGS, 0);
  const family = oneOf(flags, 'family', ['dual', 'ipv4', 'ipv6'], 'dual');
  const file = flags.get('topology');
  const topology =
    file === undefined
      ? defaultTopology({
          nodes: number(flags, 'nodes', 1, 200, 3),
          pods: number(flags, 'pods', 0, 100, 2),
          segments: number(flags, 'segments', 1, 2, 2),
          mtu: number(flags, 'mtu', 576, 65_535, 1500),
          families: FAMILIES[family],
        })
      : readTopology(file);
  return {
    name: flags.get('name') ?? 'default',
    stateDir: flags.get('state-dir'),
    detach: flags.has('detach'),
    options: {
      topology: checkTopology(topology),
      config: { transport: oneOf(flags, 'transport', ['auto', 'layer2', 'vxlan'], 'auto') },
      api: oneOf(flags, 'api', ['lab', 'real'], 'lab'),
      root,
      agents: !flags.has('no-agents'),
      wait: !flags.has('no-wait') && !flags.has('no-agents'),
    },
  };
}

function readTopology(file: string): Topology {
  try {
    return parse(readFileSync(file, 'utf8')) as Topology;
  } catch (cause) {
    throw new FairleadError('bad-topology', `--topology ${file}: ${(cause as Error).message}`, { cause });
  }
}

/** The flag's value, or `none` without it. Throws `usage`, naming flag and choices. */
export function oneOf<T extends string, N extends T | undefined>(
  flags: ReadonlyMap<string, string>,
  name: string,
  values: readonly T[],
  none: N,
): T | N {
  const given = flags.get(name);
  if (given === undefined) return none;
  const value = values.find((one) => one === given);
  if (value === undefined)
    throw new FairleadError('usage', `--${name} "${given}"`, { hint: `one of ${values.join(', ')}` });
  return value;
}

/** The flag's whole number, or `none` without it. Throws `usage`, naming flag and range. */
export function number<N extends number | undefined>(
  flags: ReadonlyMap<string, string>,
  name: string,
  min: number,
  max: number,
  none: N,
): number | N {
  const given = flags.get(name);
  if (given === undefined) return none;
  const value = Number(given);
  if (given === '' || !Number.isInteger(value) || value < min || value > max)
    throw new FairleadError('usage', `--${name} "${given}"`, { hint: `${min} to ${max}` });
  return value;
}
