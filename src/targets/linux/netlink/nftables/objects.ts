/** Tables, chains and rules on the wire, and the messages about them. Everything is in our tables, one a family. */
import { FairleadError } from '../../../../model/errors.ts';
import {
  NFT_TABLE,
  type NftChain,
  type NftExpr,
  type NftFamily,
  type NftRule,
} from '../../../../model/rows/nft.ts';
import { checkNftComment } from '../../../../model/rows/nft-values.ts';
import {
  afterHeader,
  attributes,
  be32,
  type Codec,
  encode,
  list,
  type NetlinkMessage,
  nested,
  type Schema,
  type Table,
  text,
  type ValuesOf,
} from '../attributes.ts';
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST } from '../constants.ts';
import { BadNetlink } from '../writer.ts';
import {
  NFGEN_HEADER,
  NFNL_MSG_BATCH_BEGIN,
  NFNL_MSG_BATCH_END,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO,
  NFT_MSG_DELCHAIN,
  NFT_MSG_DELRULE,
  NFT_MSG_DELTABLE,
  NFT_MSG_GETCHAIN,
  NFT_MSG_GETGEN,
  NFT_MSG_GETRULE,
  NFT_MSG_GETTABLE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWTABLE,
} from './constants.ts';
import { expression } from './expressions.ts';
import { commentIn, commentOnly, userData } from './userdata.ts';
import { named } from './values.ts';

/** Shown by `nft list`: whose table it is. */
const MARKER = commentOnly('written by fairlead; changes made by hand are undone');
const MAX_NAME = 255;

const signed: Codec<number> = {
  write: be32.write,
  read: (bytes, start, end, siblings) => be32.read(bytes, start, end, siblings) | 0,
};

/** NFTA_TABLE_… */
export const TABLE = attributes({ name: [1, text], flags: [2, be32], userdata: [6, userData] });
/** NF_INET_… of linux/netfilter.h */
const HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4, ingress: 5 } as const;
/** NFTA_HOOK_… */
const HOOK = attributes({ hook: [1, named(be32, HOOKS)], priority: [2, signed], device: [3, text] });
/** NFTA_CHAIN_… */
export const CHAIN = attributes({
  table: [1, text],
  name: [3, text],
  hook: [4, nested(HOOK)],
  policy: [5, named(be32, { drop: 0, accept: 1 })],
  type: [7, text],
});
/** NFTA_RULE_… */
export const RULE = attributes({
  table: [1, text],
  chain: [2, text],
  expressions: [4, list(expression)],
  userdata: [7, userData],
});
/** NFTA_GEN_… */
const GENERATION = attributes({ id: [1, be32] });

/** One message of the nftables subsystem, `flags` besides NLM_F_REQUEST. */
export function message<S extends Schema>(
  family: NftFamily,
  type: number,
  flags: number,
  table: Table<S>,
  values: ValuesOf<S>,
): Buffer {
  return encode(
    type,
    NLM_F_REQUEST | flags,
    (out) => {
      out.u8(NFPROTO[family]);
      out.u8(0);
      out.be16(0);
    },
    table,
    values,
  );
}

/** The attributes of a message by its table. */
export function bodyOf<S extends Schema>(reply: NetlinkMessage, table: Table<S>): ValuesOf<S> {
  return table.read(reply.bytes, afterHeader(reply, NFGEN_HEADER), reply.end, {});
}

/** A batch is one transaction; with `generation` (NFNL_BATCH_GENID) only if nobody changed anything since. */
export function batchBegin(generation: number | undefined): Buffer {
  return generation === undefined ? BEGIN : batchMark(NFNL_MSG_BATCH_BEGIN, generation);
}

export function batchEnd(): Buffer {
  return END;
}

function batchMark(type: number, generation: number | undefined): Buffer {
  const head = (out: { u8(n: number): void; be16(n: number): void }) => {
    out.u8(0);
    out.u8(0);
    out.be16(NFNL_SUBSYS_NFTABLES);
  };
  return encode(type, NLM_F_REQUEST, head, GENERATION, { id: generation });
}

const BEGIN = batchMark(NFNL_MSG_BATCH_BEGIN, undefined);
const END = batchMark(NFNL_MSG_BATCH_END, undefined);

const makeTable = (family: NftFamily) =>
  message(family, NFT_MSG_NEWTABLE, NLM_F_CREATE, TABLE, { name: NFT_TABLE, flags: 0, userdata: MARKER });
/** In every transaction. */
const NEW_TABLE: Readonly<Record<NftFamily, Buffer>> = {
  inet: makeTable('inet'),
  bridge: makeTable('bridge'),
};
export const newTable = (family: NftFamily): Buffer => NEW_TABLE[family];
export const deleteTable = (family: NftFamily) =>
  message(family, NFT_MSG_DELTABLE, 0, TABLE, { name: NFT_TABLE });
export const getTable = (family: NftFamily) =>
  message(family, NFT_MSG_GETTABLE, 0, TABLE, { name: NFT_TABLE });
export const getGeneration = () => message('inet', NFT_MSG_GETGEN, 0, GENERATION, {});
export const dumpChains = (family: NftFamily) =>
  message(family, NFT_MSG_GETCHAIN, NLM_F_DUMP, CHAIN, { table: NFT_TABLE });
export const dumpRules = (family: NftFamily) =>
  message(family, NFT_MSG_GETRULE, NLM_F_DUMP, RULE, { table: NFT_TABLE });

export function generationOf(reply: NetlinkMessage): number {
  const { id } = bodyOf(reply, GENERATION);
  if (id === undefined) throw new BadNetlink('a generation without number');
  return id;
}

/** Makes a chain without rules, or changes the policy of one that is there. */
export function newChain(family: NftFamily, { name, hook }: NftChain): Buffer {
  checkName('chain', name);
  if (hook?.hook === 'ingress' && hook.device === undefined)
    throw new FairleadError('bad-nft-chain', `chain ${name}: the hook ingress needs a device`);
  return message(family, NFT_MSG_NEWCHAIN, NLM_F_CREATE, CHAIN, {
    table: NFT_TABLE,
    name,
    ...(hook && {
      hook: { hook: hook.hook, priority: hook.priority, device: hook.device },
      policy: hook.policy,
      type: hook.type,
    }),
  });
}

export const deleteChain = (family: NftFamily, name: string) =>
  message(family, NFT_MSG_DELCHAIN, 0, CHAIN, { table: NFT_TABLE, name });
export const flushChain = (family: NftFamily, chain: string) =>
  message(family, NFT_MSG_DELRULE, 0, RULE, { table: NFT_TABLE, chain });

/** Adds a rule behind those that are there. */
export function newRule(family: NftFamily, chain: string, { exprs, comment }: NftRule): Buffer {
  if (comment !== undefined) checkNftComment(comment);
  return message(family, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, RULE, {
    table: NFT_TABLE,
    chain,
    expressions: exprs,
    userdata: commentOnly(comment),
  });
}

/** A chain of ours without its rules; `undefined` for other tables'. */
export function chainOf(reply: NetlinkMessage, family: NftFamily): NftChain | undefined {
  const { table, name, hook, policy, type } = bodyOf(reply, CHAIN);
  if (table !== NFT_TABLE || familyOf(reply) !== NFPROTO[family]) return undefined;
  if (name === undefined) throw new BadNetlink('a chain without name');
  if (hook === undefined) return { kind: 'chain', name, hook: undefined, rules: [] };
  if (hook.hook === undefined || hook.priority === undefined || policy === undefined || !isType(type))
    throw new BadNetlink(`chain ${name} has an incomplete hook`);
  return {
    kind: 'chain',
    name,
    hook: {
      type,
      hook: hook.hook,
      priority: hook.priority,
      policy,
      ...(hook.device !== undefined && { device: hook.device }),
    },
    rules: [],
  };
}

/** A rule of ours and its chain; `undefined` for other tables'. */
export function ruleOf(
  reply: NetlinkMessage,
  family: NftFamily,
): { chain: string; rule: NftRule } | undefined {
  const { table, chain, expressions, userdata } = bodyOf(reply, RULE);
  if (table !== NFT_TABLE || chain === undefined || familyOf(reply) !== NFPROTO[family]) return undefined;
  const exprs: readonly NftExpr[] = expressions ?? [];
  const comment = commentIn(userdata);
  return { chain, rule: comment === undefined ? { exprs } : { exprs, comment } };
}

/** `nfgen_family` of a message. */
export function familyOf(reply: NetlinkMessage): number {
  afterHeader(reply, NFGEN_HEADER);
  return reply.bytes.readUInt8(reply.start);
}

export function checkName(kind: string, name: string): void {
  if (name.length === 0 || Buffer.byteLength(name) > MAX_NAME)
    throw new FairleadError('bad-nft-name', `${kind} "${name}": a name has 1 to ${MAX_NAME} bytes`);
}

function isType(type: string | undefined): type is 'filter' | 'nat' | 'route' {
  return type === 'filter' || type === 'nat' || type === 'route';
}
