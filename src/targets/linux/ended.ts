/** Elements of the sets of ended flows (model/rows/ended.ts): the packets that a server still sends, though its connection was ended. */

import { familyOf, type Ip } from '../../model/net/ip.ts';
import { ENDED_SETS, endedSet } from '../../model/rows/ended.ts';
import type { NftElement, NftSet } from '../../model/rows/nft.ts';
import type { FlowEnd } from './netlink/conntrack/flows.ts';
import {
  addElements,
  deleteElements,
  dumpElements,
  ELEMENTS_PER_MESSAGE,
  elementsOf,
  readElements,
  wireKeys,
} from './netlink/nftables/elements.ts';
import { batchBegin, batchEnd } from './netlink/nftables/objects.ts';
import { NetlinkError, type NetlinkOutcome, type NetlinkTransport } from './netlink/transport.ts';
import { nextTurn } from './turn.ts';

/** Packets of one direction of a connection, as they are sent. */
export interface EndedFlow extends FlowEnd {
  readonly protocol: number;
}

/** Those whose first four bytes are two ports, by nft's names. What others send cannot be told from a new connection. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [6, 'tcp'],
  [17, 'udp'],
  [132, 'sctp'],
  [136, 'udplite'],
]);
const NUMBERS: ReadonlyMap<string, number> = new Map([...NAMES].map(([number, name]) => [name, number]));
const ELEMENTS_PER_TRANSACTION = ELEMENTS_PER_MESSAGE * 5;
const DONE: NetlinkOutcome = { ok: true };
const ENOENT = 2;
const ENFILE = 23;

export const hasPorts = (protocol: number): boolean => NAMES.has(protocol);

/** Those that the kernel drops now. None while there is no such set. */
export async function listEnded(nl: NetlinkTransport): Promise<EndedFlow[]> {
  const flows: EndedFlow[] = [];
  for (const set of ENDED_SETS) {
    try {
      const found = (await nl.dump(dumpElements('inet', set.name), elementsOf)).flat();
      flows.push(...readElements(set, found).map(flowOf));
    } catch (error) {
      if (!isErrno(error, ENOENT)) throw error;
    }
  }
  return flows;
}

/**
 * One outcome each. A set that is full is no failure: the connection then ends all the same, and only a server that goes on sending may open it
 * anew the other way round, if policies allow that.
 */
export function putEnded(
  nl: NetlinkTransport,
  flows: readonly EndedFlow[],
): Promise<readonly NetlinkOutcome[]> {
  return eachPart(flows, async (set, elements) => {
    const outcome = await transaction(
      nl,
      addElements(
        'inet',
        set.name,
        elements.flatMap((one) => wireKeys(set, one)),
      ),
    );
    return !outcome.ok && isErrno(outcome.error, ENFILE) ? DONE : outcome;
  });
}

/** One that is gone already, because its time is over, is as wanted. */
export function removeEnded(
  nl: NetlinkTransport,
  flows: readonly EndedFlow[],
): Promise<readonly NetlinkOutcome[]> {
  return eachPart(flows, async (set, elements) => {
    const keys = elements.flatMap((one) => wireKeys(set, one));
    const outcome = await transaction(nl, deleteElements('inet', set.name, keys));
    if (outcome.ok || !isErrno(outcome.error, ENOENT)) return outcome;
    for (const key of keys) {
      const single = await transaction(nl, deleteElements('inet', set.name, [key]));
      if (!single.ok && !isErrno(single.error, ENOENT)) return single;
    }
    return DONE;
  });
}

/** Small transactions, by set. What becomes of one is the outcome of all flows in it. */
async function eachPart(
  flows: readonly EndedFlow[],
  send: (set: NftSet, elements: readonly NftElement[]) => Promise<NetlinkOutcome>,
): Promise<readonly NetlinkOutcome[]> {
  const outcomes = new Array<NetlinkOutcome>(flows.length).fill(DONE);
  const byFamily = Map.groupBy(flows.entries(), ([, flow]) => familyOf(flow.source));
  for (const [family, entries] of byFamily) {
    const set = endedSet(family);
    for (let from = 0; from < entries.length; from += ELEMENTS_PER_TRANSACTION) {
      const part = entries.slice(from, from + ELEMENTS_PER_TRANSACTION);
      const outcome = await send(
        set,
        part.map(([, flow]) => elementOf(set, flow)),
      );
      for (const [i] of part) outcomes[i] = outcome;
      await nextTurn();
    }
  }
  return outcomes;
}

async function transaction(nl: NetlinkTransport, message: Buffer): Promise<NetlinkOutcome> {
  const messages = [batchBegin(undefined), message, batchEnd()];
  const outcomes = await nl.transact(messages, { oneDatagram: true });
  return outcomes.find((outcome) => !outcome.ok) ?? DONE;
}

function elementOf(set: NftSet, flow: EndedFlow): NftElement {
  const { protocol, source, sourcePort, destination, destinationPort } = flow;
  const key = [NAMES.get(protocol) ?? '', source, String(sourcePort), destination, String(destinationPort)];
  return { kind: 'element', set: set.name, key };
}

function flowOf({ key }: NftElement): EndedFlow {
  const [protocol = '', source = '', sourcePort, destination = '', destinationPort] = key;
  return {
    protocol: NUMBERS.get(protocol) ?? 0,
    source: source as Ip,
    sourcePort: Number(sourcePort),
    destination: destination as Ip,
    destinationPort: Number(destinationPort),
  };
}

function isErrno(error: unknown, errno: number): boolean {
  return error instanceof NetlinkError && error.errno === errno;
}
