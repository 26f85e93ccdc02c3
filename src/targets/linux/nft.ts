/**
 * Targets of the rows of our two nftables tables, one for each family. One apply is one transaction. When the kernel refuses some rows, it names each of them with its
 * own words; the rest is sent again without them (and without what refers to them, which it then refuses too), so one bad row does
 * not stop the others. A refused row stays as it was, but for a chain that says what to program instead (`ifRefused`).
 */
import { FairleadError } from '../../model/errors.ts';
import { type NftBody, type NftElement, type NftFamily, nftChainKey } from '../../model/rows/nft.ts';
import { type Change, type Closer, type Outcome, RolledBack, type Target } from '../../reconcile/target.ts';
import { isSocketError } from './netlink/addon.ts';
import { NFNLGRP_NFTABLES } from './netlink/nftables/constants.ts';
import { sameBody } from './netlink/nftables/normal.ts';
import { batchBegin, batchEnd, newTable } from './netlink/nftables/objects.ts';
import { readTable, rowsOf, type Snapshot } from './netlink/nftables/readback.ts';
import { NetlinkError, type NetlinkOutcome, type NetlinkTransport } from './netlink/transport.ts';
import { DriftReader } from './nft/drift.ts';
import { Fallbacks } from './nft/fallback.ts';
import { Incomplete, opensWithout } from './nft/incomplete.ts';
import { Known } from './nft/known.ts';
import { type OpenChange, planBatch, type Step } from './nft/plan.ts';

const DONE: Outcome = { ok: true };
/** Each attempt leaves out at least one more row; refusals come together, so more than a few means that something is odd. */
const ATTEMPTS = 32;
const ENOENT = 2;
const EEXIST = 17;
const ERESTART = 85;

const NAMES = { inet: 'nft', bridge: 'nft-bridge' } as const;

/** `nl` speaks NETLINK_NETFILTER. */
export function nftTarget(nl: NetlinkTransport, family: NftFamily): Target<NftBody> {
  const known = new Known();
  const incomplete = new Incomplete();
  return {
    name: NAMES[family],
    stage: 1,
    atomic: true,
    same: sameBody,
    async observe() {
      const snapshot = await readTable(nl, family);
      known.replace(snapshot);
      const rows = rowsOf(snapshot);
      incomplete.seen(rows);
      return rows;
    },
    apply: (batch, wants = () => true) => new Transaction(nl, family, known, incomplete, batch, wants).run(),
    watch(onDrift): Closer {
      const reader = new DriftReader(family, nl.port, known, onDrift);
      return nl.subscribe(
        [NFNLGRP_NFTABLES],
        (message) => reader.take(message),
        () => onDrift('unknown'),
      );
    },
  };
}

/** One batch of changes on its way into the kernel. */
class Transaction {
  readonly #nl: NetlinkTransport;
  readonly #family: NftFamily;
  readonly #known: Known;
  readonly #incomplete: Incomplete;
  readonly #wants: (key: string) => boolean;
  readonly #batch: readonly Change<NftBody>[];
  /** Decided rows; the others are still to be tried. */
  readonly #outcomes: (Outcome | undefined)[];
  /** Sets whose elements go one a message, because the kernel refused a message of several. */
  readonly #single = new Set<string>();
  readonly #fallbacks = new Fallbacks();

  constructor(
    nl: NetlinkTransport,
    family: NftFamily,
    known: Known,
    incomplete: Incomplete,
    batch: readonly Change<NftBody>[],
    wants: (key: string) => boolean,
  ) {
    this.#nl = nl;
    this.#family = family;
    this.#known = known;
    this.#incomplete = incomplete;
    this.#wants = wants;
    this.#batch = batch;
    this.#outcomes = new Array<Outcome | undefined>(batch.length).fill(undefined);
  }

  async run(): Promise<readonly Outcome[]> {
    if (!this.#known.complete) this.#known.replace(await readTable(this.#nl, this.#family));
    if (this.#known.dormant) await this.#wake();
    for (let attempt = 1; attempt <= ATTEMPTS && this.#outcomes.includes(undefined); attempt++) {
      const snapshot = this.#replacesSet() ? await readTable(this.#nl, this.#family) : undefined;
      this.#closeIncomplete();
      this.#fallbacks.begin();
      const open = this.#open();
      const { steps, refused } = planBatch(this.#family, open, this.#known, this.#single, snapshot);
      for (const [row, error] of refused) this.#refuse(row, 0, error);
      if (refused.size > 0) continue; // rows that refer to them must be planned again
      if (await this.#send(steps, snapshot)) {
        for (const { change } of open) this.#took(change);
        return this.#outcomes.map((outcome, row) => outcome ?? this.#insteadOf(row) ?? DONE);
      }
    }
    const error = new RolledBack();
    return this.#outcomes.map(
      (outcome, row) => outcome ?? { ok: false, error: this.#fallbacks.get(row)?.error ?? error },
    );
  }

  #took(change: Change<NftBody>): void {
    this.#known.learn(change);
    const body = change.wanted ?? change.found;
    if (body?.kind === 'element') this.#incomplete.settled(body);
  }

  #insteadOf(row: number): Outcome | undefined {
    const fallen = this.#fallbacks.get(row);
    return fallen && { ok: false, error: fallen.error, instead: fallen.body };
  }

  /** `rule`: counted from 0; absent when it is the row itself. */
  #refuse(row: number, rule: number | undefined, error: Error): void {
    const wanted = this.#batch[row]?.wanted;
    if (rule !== undefined && this.#fallbacks.refused(row, wanted, rule, error)) return;
    const failed = { ok: false, error: this.#fallbacks.get(row)?.error ?? error } as const;
    this.#outcomes[row] =
      wanted?.kind === 'element' ? { ...failed, spoils: this.#spoilt(wanted, error) } : failed;
  }

  /** Chains that let something through for want of this element. They are told once. */
  #spoilt(element: NftElement, error: Error): readonly string[] {
    if (!this.#incomplete.refused(element, error)) return [];
    const chains = [...this.#known.chains].filter((chain) => opensWithout(chain, element.set));
    return chains.map(({ name }) => nftChainKey(name));
  }

  #closeIncomplete(): void {
    if (this.#incomplete.none) return;
    for (const [row, { wanted }] of this.#batch.entries()) {
      if (wanted?.kind !== 'chain' || !wanted.ifRefused?.onElements) continue;
      const lack = this.#incomplete.firstRule(wanted, this.#wants);
      if (lack) this.#fallbacks.refused(row, wanted, ...lack);
    }
  }

  #open(): OpenChange[] {
    const open: OpenChange[] = [];
    this.#batch.forEach((change, row) => {
      if (this.#outcomes[row] !== undefined) return;
      const instead = this.#fallbacks.get(row)?.body;
      if (instead === undefined) open.push({ row, change });
      // Refused again, and what stands in its place is there already.
      else if (change.found === undefined || !sameBody(instead, change.found))
        open.push({ row, change: { ...change, wanted: instead } });
    });
    return open;
  }

  /** A set's type cannot change in place; what refers to it must be read, to be made again with it. */
  #replacesSet(): boolean {
    return this.#batch.some(
      ({ wanted, found }, row) =>
        wanted?.kind === 'set' && found?.kind === 'set' && this.#outcomes[row] === undefined,
    );
  }

  /** A table that sleeps wakes in a transaction of its own: the kernel refuses to hook chains in the same one. */
  async #wake(): Promise<void> {
    const outcomes = await this.#nl.transact([batchBegin(undefined), newTable(this.#family), batchEnd()], {
      oneDatagram: true,
    });
    for (const outcome of outcomes) if (!outcome.ok) throw outcome.error;
    this.#known.dormant = false;
  }

  /** Whether the kernel took it. If not, the rows at fault are decided. */
  async #send(steps: readonly Step[], snapshot: Snapshot | undefined): Promise<boolean> {
    if (steps.length === 0) return true;
    const messages = [batchBegin(snapshot?.generation), ...steps.map((step) => step.message), batchEnd()];
    const outcomes = await this.#transact(messages);
    const [begin] = outcomes;
    if (begin && !begin.ok) {
      if (begin.error instanceof NetlinkError && begin.error.errno === ERESTART) return false;
      throw begin.error;
    }
    let taken = true;
    for (const [i, step] of steps.entries()) {
      const outcome = outcomes[i + 1];
      if (outcome === undefined || outcome.ok) continue;
      taken = false;
      this.#blame(step, outcome.error);
    }
    return taken;
  }

  async #transact(messages: readonly Buffer[]): Promise<readonly NetlinkOutcome[]> {
    try {
      return await this.#nl.transact(messages, { oneDatagram: true });
    } catch (error) {
      if (!isSocketError(error) || error.code !== 'EMSGSIZE') throw error;
      const size = messages.reduce((sum, { length }) => sum + length, 0);
      throw new FairleadError('nft-too-large', `a transaction of ${size} bytes does not fit the socket`, {
        hint: 'give the agent CAP_NET_ADMIN in the first user namespace, or raise net.core.wmem_max',
        cause: error,
      });
    }
  }

  #blame(step: Step, error: Error): void {
    const [row] = step.rows;
    if (row === undefined) throw error; // the table itself
    if (step.rows.length > 1 && step.set !== undefined) {
      this.#single.add(step.set);
      return;
    }
    if (this.#outcomes[row] !== undefined) return;
    const gone = error instanceof NetlinkError && error.errno === ENOENT;
    const change = this.#batch[row];
    // Somebody else removed it before us.
    if (gone && change?.wanted === undefined) this.#outcomes[row] = DONE;
    else this.#refuse(row, step.rule === undefined ? undefined : step.rule - 1, explained(error, step));
  }
}

/** The kernel's words, and what of the row they are about. */
function explained(error: Error, step: Step): Error {
  if (!(error instanceof NetlinkError)) return error;
  const comment = step.comment === undefined ? '' : ` (${step.comment})`;
  const rule = step.rule === undefined ? '' : `rule ${step.rule}${comment}`;
  const doing = step.set !== undefined && error.errno === EEXIST ? 'it overlaps another element' : rule;
  return doing === '' ? error : new NetlinkError(error.errno, error.words, doing);
}
