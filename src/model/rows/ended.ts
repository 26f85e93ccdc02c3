/**
 * Flows that a change of policies has ended. Their entries in connection tracking are gone, and without more the server's next packet would
 * open such a flow anew, the wrong way round, because the kernel takes up connections in mid-stream. So the packets that a server still sends
 * are in a set, by family: rules drop what is in there, `conntrack` puts them in and takes them out.
 */
import { FAMILIES, type Family } from '../net/ip.ts';
import { addressType, type NftSet } from './nft.ts';

/** Milliseconds after the last packet that was dropped. */
export const ENDED_TIMEOUT = 300_000;

/** Key: protocol, then source, source port, destination and destination port as the server sends them. */
export function endedSet(family: Family): NftSet {
  const address = addressType(family);
  return {
    kind: 'set',
    name: family === 'ipv4' ? 'ended-v4' : 'ended-v6',
    key: ['inet_proto', address, 'inet_service', address, 'inet_service'],
    interval: false,
    timeout: ENDED_TIMEOUT,
    dynamic: true,
    size: 131_072,
    comment: 'packets of servers whose connection a policy has ended',
  };
}

export const ENDED_SETS: readonly NftSet[] = FAMILIES.map(endedSet);
