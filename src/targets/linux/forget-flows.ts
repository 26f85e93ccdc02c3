import { FairleadError } from '../../model/errors.ts';
import type { Ip } from '../../model/net/ip.ts';
import { listEnded, removeEnded } from './ended.ts';
import { deleteFlows } from './netlink/conntrack/flows.ts';
import { listFlowsTouching } from './netlink/conntrack/touching.ts';
import { NetlinkError, type NetlinkOutcome, type NetlinkTransport } from './netlink/transport.ts';

const ENOENT = 2;

/**
 * Removes all that the kernel remembers of connections that mention these addresses: a new pod gets them and inherits nothing. Call it
 * before the pod sends its first packet. Throws `flows-left`, or what the kernel said, when something may be left.
 */
export async function forgetFlows(nl: NetlinkTransport, addresses: ReadonlySet<Ip>): Promise<void> {
  const flows = await listFlowsTouching(nl, new Set(), addresses);
  const ended = (await listEnded(nl)).filter(
    ({ source, destination }) => addresses.has(source) || addresses.has(destination),
  );
  const failure = [...(await deleteFlows(nl, flows)), ...(await removeEnded(nl, ended))].find(isFailure);
  if (failure === undefined) return;
  throw new FairleadError('flows-left', `connections of ${[...addresses].join(', ')} could not be removed`, {
    cause: failure.error,
  });
}

function isFailure(outcome: NetlinkOutcome): outcome is NetlinkOutcome & { ok: false } {
  return !outcome.ok && !(outcome.error instanceof NetlinkError && outcome.error.errno === ENOENT);
}
