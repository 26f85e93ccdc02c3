import { hostname } from 'node:os';
import { TRANSPORTS } from '../plan/transports/registry.ts';
import type { ConfigInput } from '../sources/config/source.ts';

/** How a program of this room is called. */
export interface AgentInput {
  /** Text by flag name. */
  readonly flags: ReadonlyMap<string, string>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What settings are made of and checked against. */
export function configInput({ flags, env }: AgentInput): ConfigInput {
  return { flags, env, facts: { transports: TRANSPORTS.map((t) => t.name), hostname: hostname() } };
}
