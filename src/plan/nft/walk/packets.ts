/**
 * Walks one packet through nftables rows as the kernel would: base chains of its hooks by priority, rules, expressions, registers. An
 * expression that is not known here throws, so that no test believes a rule which nobody evaluated.
 */
import { FairleadError } from '../../../model/errors.ts';
import type { NftBody, NftChain, NftRule, NftVerdict } from '../../../model/rows/nft.ts';
import type { Row } from '../../../model/rows/row.ts';
import { evaluate, type Step } from './expressions.ts';
import type { Packet, PacketHook, PacketUnderWay } from './packet.ts';
import { Registers } from './registers.ts';
import { lookupTable, type SetView } from './sets.ts';

/** What became of it. */
export interface Passage {
  readonly verdict: 'accepted' | 'dropped' | 'rejected';
  /** Comment of the rule (or of the map's element) that decided; of an accepted packet in the last base chain. Empty when it has none. */
  readonly by: string;
  /** What each base chain said, in order. */
  readonly decisions: readonly Decided[];
  /** Prefixes of what was logged, in order. */
  readonly logs: readonly string[];
  /** What connection tracking says of it at the end. */
  readonly state: NonNullable<Packet['state']>;
}

export interface Decided {
  readonly base: string;
  /** The chain of the rule that decided; the base chain itself when its policy did. */
  readonly chain: string;
  readonly verdict: 'accepted' | 'dropped' | 'rejected';
  readonly by: string;
}

export interface NftTableView {
  readonly chains: ReadonlyMap<string, NftChain>;
  readonly sets: ReadonlyMap<string, SetView>;
}

/** The table that rows of any planners make; rows of other targets are left out. */
export function tableView(rows: Iterable<Row>): NftTableView {
  const bodies: NftBody[] = [];
  for (const row of rows) if (row.target === 'nft') bodies.push(row.body);
  const chains = new Map<string, NftChain>();
  for (const body of bodies) if (body.kind === 'chain') chains.set(body.name, body);
  return { chains, sets: lookupTable(bodies) };
}

export function walkPacket(table: NftTableView, packet: Packet): Passage {
  const underWay: PacketUnderWay = { ...packet };
  const decisions: Decided[] = [];
  const logs: string[] = [];
  for (const base of baseChains(table, packet.hook)) {
    const decided = walkBase(table, base, underWay, logs);
    decisions.push(decided);
    // Accepting ends only this base chain; the others are still asked.
    if (decided.verdict !== 'accepted') break;
  }
  const last = decisions.at(-1);
  const state = underWay.state ?? 'new';
  return { verdict: last?.verdict ?? 'accepted', by: last?.by ?? '', decisions, logs, state };
}

function baseChains(table: NftTableView, hook: PacketHook): NftChain[] {
  const priority = (chain: NftChain) => chain.hook?.priority ?? 0;
  return [...table.chains.values()]
    .filter((chain) => chain.hook?.hook === hook && chain.hook.type === 'filter')
    .sort((a, b) => priority(a) - priority(b));
}

/** The kernel's NFT_JUMP_STACK_SIZE. */
const DEEPEST = 16;

function walkBase(table: NftTableView, base: NftChain, packet: PacketUnderWay, logs: string[]): Decided {
  const registers = new Registers();
  const stack: { chain: NftChain; next: number }[] = [];
  let chain = base;
  let next = 0;
  for (;;) {
    const rule = chain.rules[next++];
    const { verdict, comment } = rule
      ? walkRule(table, rule, packet, registers, logs)
      : { verdict: 'return' as const, comment: '' };
    const decided = { base: base.name, chain: chain.name, by: comment };
    if (verdict === 'rejected' || verdict === 'dropped' || verdict === 'accepted')
      return { ...decided, verdict };
    if (verdict === 'continue') continue;
    if (verdict === 'return') {
      const back = stack.pop();
      if (!back) {
        const policy = base.hook?.policy === 'drop' ? 'dropped' : 'accepted';
        return { base: base.name, chain: base.name, verdict: policy, by: 'policy of the base chain' };
      }
      ({ chain, next } = back);
      continue;
    }
    if (verdict.how === 'jump' && stack.push({ chain, next }) > DEEPEST)
      throw new FairleadError('bad-rule', `jumps from ${base.name} are more than ${DEEPEST} deep`);
    chain = chainOf(table, verdict.chain);
    next = 0;
  }
}

type Outcome =
  | 'accepted'
  | 'dropped'
  | 'rejected'
  | 'continue'
  | 'return'
  | { how: 'jump' | 'goto'; chain: string };

function walkRule(
  table: NftTableView,
  rule: NftRule,
  packet: PacketUnderWay,
  registers: Registers,
  logs: string[],
): { verdict: Outcome; comment: string } {
  const comment = rule.comment ?? '';
  for (const expr of rule.exprs) {
    const step: Step = evaluate(expr, packet, registers, table.sets);
    if (step === 'matches') continue;
    if (step === 'breaks') return { verdict: 'continue', comment };
    if (step === 'rejected') return { verdict: 'rejected', comment };
    if ('log' in step) {
      logs.push(step.log);
      continue;
    }
    const outcome = outcomeOf(step.verdict);
    if (outcome === 'continue') continue;
    return { verdict: outcome, comment: step.comment ?? comment };
  }
  return { verdict: 'continue', comment };
}

function outcomeOf({ verdict, chain = '' }: NftVerdict): Outcome {
  switch (verdict) {
    case 'accept':
      return 'accepted';
    case 'drop':
      return 'dropped';
    case 'continue':
    case 'return':
      return verdict;
    case 'jump':
    case 'goto':
      return { how: verdict, chain };
  }
}

function chainOf(table: NftTableView, name: string): NftChain {
  const chain = table.chains.get(name);
  if (!chain) throw new FairleadError('bad-rule', `there is no chain ${name}`);
  return chain;
}
