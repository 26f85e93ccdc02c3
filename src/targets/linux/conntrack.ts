/**
 * Target of connection-tracking entries that must not be: those that `isStale` tells. Nobody plans any, so each one found is a difference
 * and removed. They are observed, not remembered, so none is forgotten over a restart or a failed deletion.
 */
import type { ConntrackBody } from '../../model/rows/conntrack.ts';
import type { Outcome, Target } from '../../reconcile/target.ts';
import { deleteFlows, type Flow, listFlows } from './netlink/conntrack/flows.ts';
import { NetlinkError, type NetlinkTransport } from './netlink/transport.ts';

const DONE: Outcome = { ok: true };
const ENOENT = 2;

/** `nl` speaks NETLINK_NETFILTER. */
export function conntrackTarget(
  nl: NetlinkTransport,
  isStale: (flow: Flow) => boolean = () => false,
): Target<ConntrackBody> {
  return {
    name: 'conntrack',
    stage: 5,
    same: (wanted, found) =>
      wanted.protocol === found.protocol &&
      wanted.source === found.source &&
      wanted.destination === found.destination,
    async observe() {
      const flows = (await listFlows(nl)).filter(isStale);
      return new Map(flows.map((flow) => [keyOf(flow), bodyOf(flow)]));
    },
    async apply(batch) {
      const keys = new Set(batch.filter(({ wanted }) => wanted === undefined).map(({ key }) => key));
      const flows = (await listFlows(nl)).filter((flow) => keys.has(keyOf(flow)));
      const outcomes = await deleteFlows(nl, flows);
      const failed = new Map<string, Outcome>();
      for (const [i, outcome] of outcomes.entries()) {
        const flow = flows[i];
        if (flow && !outcome.ok && !isGone(outcome.error)) failed.set(keyOf(flow), outcome);
      }
      return batch.map(({ key }) => failed.get(key) ?? DONE);
    },
  };
}

function isGone(error: Error): boolean {
  return error instanceof NetlinkError && error.errno === ENOENT;
}

function bodyOf({ protocol, original }: Flow): ConntrackBody {
  return { protocol, source: original.source, destination: original.destination };
}

function keyOf({ protocol, original, zone, id }: Flow): string {
  const { source, sourcePort, destination, destinationPort } = original;
  return `flow ${protocol} ${source} ${sourcePort} ${destination} ${destinationPort} zone ${zone} id ${id}`;
}
