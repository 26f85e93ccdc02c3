import type { TransportName } from '../../model/cluster/config.ts';
import type { Node } from '../../model/cluster/node.ts';
import { enabledTransports, TRANSPORTS, transportOf } from './registry.ts';
import type { Carrier, Transport } from './transport.ts';
import type { Said, Self } from './underlay.ts';

/** How this node sends to one other node, and why. */
export interface Pair {
  readonly node: string;
  /** What the settings ask for; absent when nothing that they allow can work. */
  readonly wanted: Carrier | undefined;
  /** What is used now; differs from `wanted` while the two nodes change over. */
  readonly carrier: Carrier | undefined;
  readonly transport: TransportName | undefined;
  /** For people: "n2 is on-link on eth0 (10.0.0.0/24)", "still layer2: n2 does not accept vxlan yet". */
  readonly reason: string;
}

/**
 * The carrier from this node to `peer`. Both ends decide from the same facts, but nothing breaks when they decide differently:
 * a node receives by all that others say they use. The rules that make a change lossless are drawn in README.md:
 * we send by a carrier only after the API server has our word that we use it and the peer's word that it accepts it.
 */
export function choosePair(self: Self, peer: Node): Pair {
  if (LAST?.self !== self || LAST.peer !== peer) LAST = { self, peer, pair: choose(self, peer) };
  return LAST.pair;
}

/** A change of one Node asks twice, for its rows and for what is in use. Neither object ever changes. */
let LAST: { readonly self: Self; readonly peer: Node; readonly pair: Pair } | undefined;

function choose(self: Self, peer: Node): Pair {
  const wish = wished(self, peer);
  if ('refused' in wish) {
    return {
      node: peer.name,
      wanted: undefined,
      carrier: undefined,
      transport: undefined,
      reason: wish.refused,
    };
  }
  const obstacle = notReady(wish.carrier, self, peer);
  if (obstacle === undefined) return pair(peer, wish.carrier, wish.carrier, wish.because);
  const meanwhile = heldCarrier(wish.carrier, self, peer);
  if (meanwhile === undefined) {
    const reason = `${wish.because}; ${obstacle}, but nothing else leads there`;
    return pair(peer, wish.carrier, wish.carrier, reason);
  }
  return pair(peer, wish.carrier, meanwhile, `still ${title(meanwhile, wish.carrier)}: ${obstacle}`);
}

interface Wish {
  readonly carrier: Carrier;
  readonly because: string;
}

function wished(self: Self, peer: Node): Wish | { readonly refused: string } {
  const transports = enabledTransports(self.config);
  const automatic = transports.length > 1;
  const refusals: string[] = [];
  let second: Wish | undefined;
  for (const transport of transports) {
    const choice = transport.choose(self, peer);
    if ('refused' in choice) {
      refusals.push(choice.refused);
      continue;
    }
    const gap = transport.gaps(self, peer);
    if (gap === undefined || !automatic) {
      return { carrier: choice.carrier, because: because(choice.because, automatic, transport, refusals) };
    }
    refusals.push(gap);
    second ??= choice;
  }
  if (second) return second;
  const hint = automatic ? '' : ` (setting transport is ${transports[0]?.name})`;
  return { refused: `${refusals.join('; ')}${hint}` };
}

function because(
  text: string,
  automatic: boolean,
  transport: Transport,
  refusals: readonly string[],
): string {
  if (!automatic) return `setting transport is ${transport.name}; ${text}`;
  return refusals.length > 0 ? refusals.join('; ') : text;
}

/** Why we must not yet send by a carrier that would work; `undefined` = go. */
export function notReady(carrier: Carrier, self: Self, peer: Node): string | undefined {
  // An agent that has said nothing runs nowhere, or is too new to be spoken to: waiting for it would help nobody.
  if (peer.facts && !peer.facts.accepts.includes(carrier))
    return `${peer.name} does not accept ${carrier} yet`;
  if (transportOf(carrier)?.receivesAlways) return undefined;
  if (peer.facts && self.says && !announced(self.says, carrier))
    return `this node has not yet announced that it sends by ${carrier}`;
  return undefined;
}

/** What we have said that we leave may be withdrawn already, although we have not yet seen it. */
const announced = (own: Said, carrier: Carrier): boolean =>
  own.uses.includes(carrier) && !own.leaves?.includes(carrier);

/** What to stay on until the wanted carrier is ready: something the peer still receives by and we have announced. */
function heldCarrier(wanted: Carrier, self: Self, peer: Node): Carrier | undefined {
  const own = TRANSPORTS.flatMap((transport) => {
    const choice = transport.choose(self, peer);
    return 'carrier' in choice ? [choice.carrier] : [];
  });
  const candidates = [...[...(self.says?.uses ?? [])].sort(), ...own].filter((carrier) => {
    if (carrier === wanted || !peer.facts?.accepts.includes(carrier)) return false;
    const transport = transportOf(carrier);
    return transport !== undefined && transport.refuses(carrier, self, peer) === undefined;
  });
  return candidates.find((carrier) => notReady(carrier, self, peer) === undefined);
}

function pair(peer: Node, wanted: Carrier, carrier: Carrier, reason: string): Pair {
  return { node: peer.name, wanted, carrier, transport: transportOf(carrier)?.name, reason };
}

/** The transport's name where that says it all, the whole carrier where only its settings differ. */
function title(carrier: Carrier, other: Carrier): string {
  const transport = transportOf(carrier);
  return transport && transport !== transportOf(other) ? transport.name : carrier;
}
