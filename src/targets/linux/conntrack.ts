/**
 * Target of connection tracking: connections that policies deny now end here. Nobody plans its rows; what it finds is what must go, and it is
 * read from the kernel, so nothing is lost over a failure or a restart. It looks only at what was touched. See README.md.
 */
import type { Clock } from '../../model/clock.ts';
import { FairleadError } from '../../model/errors.ts';
import type { Ip } from '../../model/net/ip.ts';
import type { ConntrackBody } from '../../model/rows/conntrack.ts';
import type { Change, Closer, Outcome, Target } from '../../reconcile/target.ts';
import { type EndedFlow, hasPorts, listEnded, putEnded, removeEnded } from './ended.ts';
import { deleteFlows, type Flow, listFlows } from './netlink/conntrack/flows.ts';
import { listFlowsTouching } from './netlink/conntrack/touching.ts';
import { NetlinkError, type NetlinkOutcome, type NetlinkTransport } from './netlink/transport.ts';
import { type Touch, Touched } from './touched.ts';
import { nextTurn } from './turn.ts';

/** Who opened a connection, and who serves it after its destination was translated; before the source is. */
export interface Connection {
  readonly protocol: number;
  readonly from: Ip;
  readonly to: Ip;
  /** Absent for protocols without. */
  readonly port: number | undefined;
}

export interface Denial {
  readonly why: string;
  /** Its server may go on sending, and policies may let that through: its packets must be dropped, too. */
  readonly silence: boolean;
  /** What is under way may go on (`policy.established: keep`). */
  readonly spared?: boolean;
}

/** Knows what may be. Asked many thousand times in a row. */
export interface FlowJudge {
  /** It knows all that it needs. */
  readonly ready: boolean;
  /** Addresses of this node's pods, and those that are gone. */
  pods(): Iterable<Ip>;
  /** It was one of theirs and is nobody's now: all that mentions it goes. */
  isGone(address: Ip): boolean;
  /** Why this connection would not be let through now; `undefined` = it would. */
  denies(connection: Connection): Denial | undefined;
}

export interface ConntrackTarget extends Target<ConntrackBody> {
  /** Connections of these addresses are to be judged again: at once, and soon again when it comes often. */
  touch(what: Touch): void;
}

export interface ConntrackOptions {
  /** Speaks NETLINK_NETFILTER. */
  readonly nl: NetlinkTransport;
  readonly clock: Clock;
  /** Without it nothing is ever found. */
  readonly judge?: FlowJudge;
}

const DONE: Outcome = { ok: true };
const ENOENT = 2;
/** Judging gives the loop a turn after so many. */
const JUDGED_IN_ONE_GO = 200;
/** So does ending. */
const ENDED_IN_ONE_GO = 200;

export function conntrackTarget(options: ConntrackOptions): ConntrackTarget {
  const flows = new DeniedFlows(options);
  return {
    name: 'conntrack',
    stage: 5,
    same: () => false,
    reason: ({ why }) => why,
    observe: () => flows.observe(),
    apply: (batch) => flows.apply(batch),
    watch: (onDrift) => flows.watch(() => onDrift('unknown')),
    touch: (what) => flows.touch(what),
  };
}

type Verdicts = Pick<FlowJudge, 'isGone' | 'denies'>;

/** Something to be removed. */
type Finding =
  | { readonly what: 'flow'; readonly flow: Flow; readonly denial: Denial }
  | { readonly what: 'ended'; readonly ended: EndedFlow };

class DeniedFlows {
  readonly #nl: NetlinkTransport;
  readonly #judge: FlowJudge | undefined;
  readonly #touched: Touched;
  /** Found, and not removed yet. */
  #found = new Map<string, Finding>();

  constructor({ nl, clock, judge }: ConntrackOptions) {
    this.#nl = nl;
    this.#judge = judge;
    this.#touched = new Touched(clock);
  }

  watch(onTouch: () => void): Closer {
    return this.#touched.listen(onTouch);
  }

  touch(what: Touch): void {
    this.#touched.add(what);
  }

  async observe(): Promise<ReadonlyMap<string, ConntrackBody>> {
    const judge = this.#judge;
    if (judge?.ready) {
      for (const finding of this.#found.values()) this.#touched.addQuietly(addressesOf(finding));
      await this.#touched.look(async (what) => {
        this.#found = await this.#look(judge, what);
      });
    }
    return new Map([...this.#found].map(([key, finding]) => [key, bodyOf(finding)]));
  }

  async apply(batch: readonly Change<ConntrackBody>[]): Promise<readonly Outcome[]> {
    const judge = this.#judge;
    if (!judge?.ready) throw new FairleadError('not-ready', 'policies are not fully known: nothing is ended');
    const outcomes: Outcome[] = [];
    for (let from = 0; from < batch.length; from += ENDED_IN_ONE_GO) {
      if (from > 0) await nextTurn();
      const keys = batch.slice(from, from + ENDED_IN_ONE_GO).map(({ key }) => key);
      outcomes.push(...(await this.#applyPart(judge, keys)));
    }
    return outcomes;
  }

  /** The server's packets are silenced before its connection goes: otherwise the next one would open it anew. */
  async #applyPart(judge: FlowJudge, keys: readonly string[]): Promise<readonly Outcome[]> {
    const flows: { key: string; flow: Flow; denial: Denial }[] = [];
    const again: { key: string; ended: EndedFlow }[] = [];
    for (const key of keys) {
      const finding = this.#found.get(key);
      if (finding?.what === 'ended') again.push({ key, ended: finding.ended });
      // What policies have let through again since it was found stays.
      const denial = finding?.what === 'flow' ? denialOf(judge, finding.flow) : undefined;
      if (finding?.what === 'flow' && denial) flows.push({ key, flow: finding.flow, denial });
    }
    const failed = new Map<string, Outcome>();
    const note = (rows: readonly { key: string }[], outcomes: readonly NetlinkOutcome[]) => {
      for (const [i, { key }] of rows.entries()) {
        const outcome = outcomes[i];
        if (outcome && !outcome.ok) failed.set(key, outcome);
      }
    };
    const notes = again.map(({ ended }) => ended);
    note(again, await removeEnded(this.#nl, notes));
    const silenced = flows.filter(({ flow, denial }) => denial.silence && canBeSilenced(flow));
    const packets = silenced.map(({ flow }) => serverPackets(flow));
    note(silenced, await putEnded(this.#nl, packets));
    const ending = flows.filter(({ key }) => !failed.has(key));
    const entries = ending.map(({ flow }) => flow);
    note(ending, (await deleteFlows(this.#nl, entries)).map(goneIsDone));
    for (const key of keys) if (!failed.has(key)) this.#found.delete(key);
    return keys.map((key) => failed.get(key) ?? DONE);
  }

  async #look(judge: FlowJudge, what: Touch): Promise<Map<string, Finding>> {
    const found = new Map<string, Finding>();
    const flows = await this.#flows(judge, what);
    const verdicts = remembering(judge);
    for (const [i, flow] of flows.entries()) {
      if (i % JUDGED_IN_ONE_GO === JUDGED_IN_ONE_GO - 1) await nextTurn();
      const denial = denialOf(verdicts, flow);
      if (denial) found.set(flowKey(flow), { what: 'flow', flow, denial });
    }
    for (const ended of await listEnded(this.#nl)) {
      const isTouched = typeof what === 'string' || what.has(ended.source) || what.has(ended.destination);
      if (isTouched && !judge.denies(askedFor(ended))) found.set(endedKey(ended), { what: 'ended', ended });
    }
    return found;
  }

  #flows(judge: FlowJudge, what: Touch): Promise<Flow[]> {
    if (what === 'everything') return listFlows(this.#nl);
    const addresses = new Set(what === 'pods' ? judge.pods() : what);
    const gone = new Set([...addresses].filter((address) => judge.isGone(address)));
    return listFlowsTouching(this.#nl, new Set([...addresses].filter((address) => !gone.has(address))), gone);
  }
}

/** Of a client's many connections to one port only the first is judged. For one look. */
function remembering(judge: FlowJudge): Verdicts {
  const known = new Map<string, Denial | undefined>();
  return {
    isGone: (address) => judge.isGone(address),
    denies(connection) {
      const { protocol, from, to, port } = connection;
      const key = `${protocol} ${from} ${to} ${port}`;
      if (!known.has(key)) known.set(key, judge.denies(connection));
      return known.get(key);
    },
  };
}

function denialOf(judge: Verdicts, flow: Flow): Denial | undefined {
  const { protocol, original, reply } = flow;
  for (const address of [original.source, reply.source, original.destination, reply.destination])
    if (judge.isGone(address)) return { why: `the pod of ${address} is gone`, silence: false };
  const port = hasPorts(protocol) ? reply.sourcePort : undefined;
  const denial = judge.denies({ protocol, from: original.source, to: reply.source, port });
  return denial?.spared ? undefined : denial;
}

/** Answers to a translated source go to this node itself and reach no pod without the entry. */
const canBeSilenced = ({ protocol, original, reply }: Flow): boolean =>
  hasPorts(protocol) && reply.destination === original.source;

const serverPackets = ({ protocol, reply }: Flow): EndedFlow => ({ protocol, ...reply });

/** The connection that these packets are answers of. */
const askedFor = ({ protocol, source, sourcePort, destination }: EndedFlow): Connection => ({
  protocol,
  from: destination,
  to: source,
  port: sourcePort,
});

function addressesOf(finding: Finding): ReadonlySet<Ip> {
  if (finding.what === 'ended') return new Set([finding.ended.source, finding.ended.destination]);
  const { original, reply } = finding.flow;
  return new Set([original.source, reply.source, original.destination, reply.destination]);
}

function bodyOf(finding: Finding): ConntrackBody {
  if (finding.what === 'flow') {
    const { flow, denial } = finding;
    const [source, destination] = [flow.original.source, flow.reply.source];
    return { what: 'flow', protocol: flow.protocol, source, destination, why: denial.why };
  }
  const { from, to, protocol } = askedFor(finding.ended);
  return { what: 'ended', protocol, source: from, destination: to, why: 'policies let it through again' };
}

function flowKey({ protocol, original, zone, id }: Flow): string {
  return `flow ${protocol} ${wordsOf(original)} zone ${zone} id ${id}`;
}

const endedKey = (ended: EndedFlow): string => `ended ${ended.protocol} ${wordsOf(ended)}`;

const wordsOf = ({
  source,
  sourcePort,
  destination,
  destinationPort,
}: EndedFlow | Flow['original']): string => `${source} ${sourcePort} ${destination} ${destinationPort}`;

function goneIsDone(outcome: NetlinkOutcome): NetlinkOutcome {
  const isGone = !outcome.ok && outcome.error instanceof NetlinkError && outcome.error.errno === ENOENT;
  return isGone ? DONE : outcome;
}
