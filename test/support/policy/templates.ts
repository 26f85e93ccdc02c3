/**
 * Fills in the addresses of a case's policies ("Addresses" in test/conformance/data/netpol-cases/README.md) for one family and the
 * addresses that the pods really have: form 1 (the same block of the pod's own address) where it covers the same pods, else form 2 (a block
 * of everybody but those who are not in it).
 */
import { BlockList } from 'node:net';
import { CaseError } from './field.ts';
import { type ClusterState, type Policy, podKeyOf } from './state.ts';

export type IpFamily = 'ipv4' | 'ipv6';

const otherFamily = (family: IpFamily): IpFamily => (family === 'ipv4' ? 'ipv6' : 'ipv4');
export const familyOfText = (text: string): IpFamily => (text.includes(':') ? 'ipv6' : 'ipv4');

/** The family in which a cluster file is written. */
const writtenFamily = (state: ClusterState): IpFamily => familyOfText(state.file.pods[0]?.ip ?? '');

const TEMPLATE = /^\{\{ip (\S+) \/(\d+)\}\}$/;
const EVERYTHING = { ipv4: '0.0.0.0/0', ipv6: '::/0' } as const;
const NOBODY = { ipv4: '0.0.0.0/31', ipv6: '::/127' } as const;

export interface Filling {
  readonly state: ClusterState;
  /** In which family the policy is to hold. */
  readonly family: IpFamily;
  readonly addressOf: (pod: string) => string;
}

/** The policy with every template filled in, and literals of the other family where the family changes. */
export function filled(policy: Policy, filling: Filling): Policy {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => {
        if (key === 'ipBlock') return [key, filledBlock(inner as Block, filling)];
        if (key === 'networks') return [key, filledNetworks(inner as readonly string[], filling)];
        return [key, walk(inner)];
      }),
    );
  };
  return { ...policy, spec: walk(policy.spec) as Policy['spec'] };
}

interface Block {
  readonly cidr: string;
  readonly except?: readonly string[];
}

function filledBlock({ cidr, except = [] }: Block, filling: Filling): Block {
  const all = [cidr, ...except];
  const asIs = all.map((one) => asWritten(one, filling));
  if (asIs.every((one) => one !== undefined)) {
    const [first, ...rest] = asIs as readonly string[];
    return { cidr: first ?? '', ...(rest.length > 0 ? { except: rest } : {}) };
  }
  const literal = literalOf(cidr, filling);
  const without = literal === undefined ? outside(cidr, filling) : [];
  const excepted = [...new Set([...without, ...except.flatMap((one) => membersOf(one, filling))])];
  const family = literal === undefined ? filling.family : familyOfText(literal);
  const singles = excepted.map((pod) => single(pod, filling)).filter((one) => familyOfText(one) === family);
  return { cidr: literal ?? EVERYTHING[filling.family], ...(singles.length > 0 ? { except: singles } : {}) };
}

/** The API wants one entry at least: where no pod is meant, it is a block without any. */
function filledNetworks(networks: readonly string[], filling: Filling): readonly string[] {
  const all = networks.flatMap((one) => filledNetwork(one, filling));
  return all.length > 0 ? [...new Set(all)] : [NOBODY[filling.family]];
}

/** An entry of `networks`: single addresses instead of a block that does not cover the same pods here. */
function filledNetwork(one: string, filling: Filling): readonly string[] {
  const same = asWritten(one, filling) ?? literalOf(one, filling);
  return same === undefined ? membersOf(one, filling).map((pod) => single(pod, filling)) : [same];
}

/** The entry itself, or its template filled in, when that means the same pods here. */
function asWritten(one: string, filling: Filling): string | undefined {
  const { state, family, addressOf } = filling;
  const template = TEMPLATE.exec(one);
  if (!template) return family === writtenFamily(state) && literal(one) ? one : undefined;
  const [, pod = '', text = ''] = template;
  const length = Number(text);
  const single = length === (writtenFamily(state) === 'ipv4' ? 32 : 128);
  if (single) return `${addressOf(pod)}/${family === 'ipv4' ? 32 : 128}`;
  if (family !== writtenFamily(state)) return undefined;
  const cidr = `${masked(addressOf(pod), length)}/${length}`;
  const here = podsIn(cidr, [...state.pods.keys()], addressOf);
  return same(here, membersOf(one, filling)) ? cidr : undefined;
}

/** `0.0.0.0/0` and the like, in the family that it changes to. */
function literalOf(one: string, { state, family }: Filling): string | undefined {
  if (TEMPLATE.test(one)) return undefined;
  const written = familyOfText(one);
  const target = family === writtenFamily(state) ? written : otherFamily(written);
  if (one === EVERYTHING[written]) return EVERYTHING[target];
  if (one === NOBODY[written]) return NOBODY[target];
  return undefined;
}

const literal = (one: string): boolean =>
  [...Object.values(EVERYTHING), ...Object.values(NOBODY)].includes(one as never);

/** Pods that an entry covers: as the cluster file says, else by the addresses that it proposes. */
function membersOf(one: string, { state }: Filling): readonly string[] {
  const covered = state.file.covers?.[one];
  if (covered) return covered.filter((pod) => state.pods.has(pod));
  const written = (pod: string): string => writtenAddress(state, pod);
  const [, pod, length] = TEMPLATE.exec(one) ?? [];
  const cidr = pod === undefined ? one : `${masked(written(pod), Number(length))}/${length}`;
  return podsIn(cidr, [...state.pods.keys()], written);
}

function writtenAddress(state: ClusterState, key: string): string {
  const pod = state.pods.get(key) ?? state.file.pods.find((one) => podKeyOf(one) === key);
  if (!pod) throw new CaseError(`a template names ${key}, which is no pod`);
  return pod.ip;
}

function outside(one: string, filling: Filling): readonly string[] {
  const members = membersOf(one, filling);
  return [...filling.state.pods.keys()].filter((pod) => !members.includes(pod));
}

const single = (pod: string, { addressOf }: Filling): string => {
  const address = addressOf(pod);
  return `${address}/${familyOfText(address) === 'ipv4' ? 32 : 128}`;
};

const podsIn = (
  cidr: string,
  pods: readonly string[],
  addressOf: (pod: string) => string,
): readonly string[] => pods.filter((pod) => inBlock(cidr, addressOf(pod)));

const same = (a: readonly string[], b: readonly string[]): boolean =>
  [...a].sort().join() === [...b].sort().join();

const blocks = new Map<string, BlockList>();

/** Whether an address lies in a prefix, host bits set or not. */
export function inBlock(cidr: string, address: string): boolean {
  const family = familyOfText(cidr);
  if (familyOfText(address) !== family) return false;
  let block = blocks.get(cidr);
  if (!block) {
    const [network = '', length] = cidr.split('/');
    block = new BlockList();
    block.addSubnet(network, Number(length), family);
    blocks.set(cidr, block);
  }
  return block.check(address, family);
}

/** The address with its host bits cleared. */
function masked(address: string, length: number): string {
  const family = familyOfText(address);
  const bits = family === 'ipv4' ? 32n : 128n;
  const mask = ((1n << bits) - 1n) ^ ((1n << (bits - BigInt(length))) - 1n);
  return toText(toNumber(address) & mask, family);
}

function toNumber(address: string): bigint {
  if (familyOfText(address) === 'ipv4')
    return address.split('.').reduce((sum, part) => (sum << 8n) + BigInt(part), 0n);
  const [head = '', tail] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [first, last] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? [] : new Array<string>(8 - first.length - last.length).fill('0');
  return [...first, ...zeros, ...last].reduce((sum, group) => (sum << 16n) + BigInt(`0x${group}`), 0n);
}

function toText(number: bigint, family: IpFamily): string {
  const part = (i: number, width: bigint): bigint => (number >> (BigInt(i) * width)) & ((1n << width) - 1n);
  if (family === 'ipv4') return [3, 2, 1, 0].map((i) => part(i, 8n)).join('.');
  return new URL(
    `http://[${[7, 6, 5, 4, 3, 2, 1, 0].map((i) => part(i, 16n).toString(16)).join(':')}]/`,
  ).hostname.slice(1, -1);
}
