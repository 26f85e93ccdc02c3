import type { Clock } from '../../model/clock.ts';
import { FACTS_ANNOTATION, type Node } from '../../model/cluster/node.ts';
import { equal } from '../../model/equal.ts';
import { FairleadError } from '../../model/errors.ts';
import { annotationKey, conditionKey, type NodeStatusBody } from '../../model/rows/node-status.ts';
import type { Change, Outcome, Target } from '../../reconcile/target.ts';
import type { KubeClient } from '../../sources/kube/client.ts';
import { ApiError, ConnectionError } from '../../sources/kube/errors.ts';
import { array, type Raw, record, text } from '../../sources/kube/raw.ts';
import { NODES } from '../../sources/kube/resource.ts';

/** Who must know of the facts that are being told, before anybody else can. */
export interface Announcement {
  /** The text is about to be written. */
  telling(text: string): void;
  /** The API server would not have it. */
  refused(text: string): void;
  /** Resolves once the watch has shown it, or when that takes too long. */
  heard(): Promise<void>;
}

export interface NodeStatusOptions {
  readonly client: Pick<KubeClient, 'get' | 'patch'>;
  readonly nodeName: string;
  readonly announcement?: Announcement;
  /** For the condition's times, which are for people. */
  readonly clock?: Pick<Clock, 'wall'>;
}

/** The target, and the ear by which it hears that somebody else changed our Node. */
export interface NodeStatusTarget extends Target<NodeStatusBody> {
  /** To be called with our own Node as the nodes source shows it, at each change. */
  nodeChanged(node: Node | undefined): void;
}

const CONDITION = 'NetworkUnavailable';
const ANNOTATION_ROW = annotationKey(FACTS_ANNOTATION);
const CONDITION_ROW = conditionKey(CONDITION);

/**
 * What is ours on a Node: the facts annotation by its name, and the condition NetworkUnavailable when its reason begins with this.
 * A cloud's route controller writes the same condition with reasons of its own (`RouteCreated`); those are not ours to remove.
 */
const CONDITION_REASON = 'Fairlead';

/**
 * Keeps our words on our own Node: one annotation (merge patch) and one condition (strategic merge patch on the status
 * subresource, so that no other condition is touched). Reads once for each observe; hears of drift through `nodeChanged`.
 */
export function nodeStatusTarget(options: NodeStatusOptions): NodeStatusTarget {
  return new KubeNodeStatus(options);
}

class KubeNodeStatus implements NodeStatusTarget {
  readonly name = 'node-status';
  readonly stage = 6;
  readonly #client: NodeStatusOptions['client'];
  readonly #node: string;
  readonly #wall: () => number;
  readonly #announcement: Announcement | undefined;
  #onDrift: ((keys: Iterable<string>) => void) | undefined;
  #seen: Pick<Node, 'facts' | 'networkUnavailable'> | undefined;

  constructor({ client, nodeName, clock, announcement }: NodeStatusOptions) {
    this.#client = client;
    this.#node = nodeName;
    this.#announcement = announcement;
    this.#wall = () => clock?.wall() ?? Date.now();
  }

  same(wanted: NodeStatusBody, found: NodeStatusBody): boolean {
    return equal(wanted, found);
  }

  async observe(): Promise<ReadonlyMap<string, NodeStatusBody>> {
    const raw = await this.#read();
    const found = new Map<string, NodeStatusBody>();
    const value = record(record(raw.metadata).annotations)[FACTS_ANNOTATION];
    if (typeof value === 'string') {
      const item = { kind: 'annotation', name: FACTS_ANNOTATION, value } as const;
      found.set(ANNOTATION_ROW, { node: this.#node, item });
    }
    const condition = conditionOf(raw);
    const reason = text(condition?.reason);
    if (condition && reason.startsWith(CONDITION_REASON)) {
      const status = condition.status === 'True' ? 'True' : 'False';
      const item = {
        kind: 'condition',
        type: CONDITION,
        status,
        reason,
        message: text(condition.message),
      } as const;
      // `Unknown` is the node controller's word for a silent kubelet: not what we said, so not as wanted.
      if (condition.status === status) found.set(CONDITION_ROW, { node: this.#node, item });
    }
    return found;
  }

  async apply(batch: readonly Change<NodeStatusBody>[]): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const change of batch) outcomes.push(await this.#one(change));
    return outcomes;
  }

  watch(onDrift: (keys: Iterable<string> | 'unknown') => void): { close(): void } {
    this.#onDrift = onDrift;
    return {
      close: () => {
        this.#onDrift = undefined;
      },
    };
  }

  nodeChanged(node: Node | undefined): void {
    const before = this.#seen;
    const now = { facts: node?.facts, networkUnavailable: node?.networkUnavailable };
    this.#seen = now;
    const keys: string[] = [];
    if (!before || !equal(before.facts, now.facts)) keys.push(ANNOTATION_ROW);
    if (!before || !equal(before.networkUnavailable, now.networkUnavailable)) keys.push(CONDITION_ROW);
    if (keys.length > 0) this.#onDrift?.(keys);
  }

  async #one({ wanted, found }: Change<NodeStatusBody>): Promise<Outcome> {
    const body = wanted ?? found;
    if (!body) return { ok: true };
    try {
      if (body.node !== this.#node) throw foreignNode(body.node, this.#node);
      const { item } = body;
      if (item.kind === 'annotation') await this.#annotate(item.name, wanted ? item.value : null);
      else if (wanted) await this.#setCondition(item);
      else await this.#dropCondition();
      return { ok: true };
    } catch (error) {
      // A broken connection leaves open whether it was done: to be observed again.
      if (!(error instanceof FairleadError) || error instanceof ConnectionError) throw error;
      return { ok: false, error: this.#named(error) };
    }
  }

  async #annotate(name: string, value: string | null): Promise<void> {
    const body = { metadata: { annotations: { [name]: value } } };
    if (value !== null) this.#announcement?.telling(value);
    try {
      await this.#client.patch({ ...NODES, name: this.#node }, 'merge', body);
    } catch (error) {
      if (value !== null && error instanceof ApiError) this.#announcement?.refused(value);
      throw error;
    }
    // One word at a time: this call ends when the word has come back, and only then another begins.
    await this.#announcement?.heard();
  }

  async #setCondition(item: NodeStatusBody['item'] & { kind: 'condition' }): Promise<void> {
    const now = new Date(this.#wall()).toISOString().replace(/\.\d+Z$/, 'Z');
    const before = conditionOf(await this.#read());
    const { type, status, reason, message } = item;
    // KEP-1623: the transition time tells when the status changed, not when its words did.
    const moved = before?.status === status ? {} : { lastTransitionTime: now };
    const condition = { type, status, reason, message, lastHeartbeatTime: now, ...moved };
    await this.#patchStatus({ conditions: [condition] });
  }

  /** Gone, not "False": with our agent gone nobody vouches for this node's network. Another's condition stays. */
  async #dropCondition(): Promise<void> {
    const reason = text(conditionOf(await this.#read())?.reason);
    if (!reason.startsWith(CONDITION_REASON)) return;
    await this.#patchStatus({ conditions: [{ type: CONDITION, $patch: 'delete' }] });
  }

  async #patchStatus(status: Raw): Promise<void> {
    const ref = { ...NODES, name: this.#node, subresource: 'status' };
    await this.#client.patch(ref, 'strategic', { status });
  }

  async #read(): Promise<Raw> {
    try {
      return await this.#client.get({ ...NODES, name: this.#node });
    } catch (error) {
      throw error instanceof FairleadError ? this.#named(error) : error;
    }
  }

  #named(error: FairleadError): FairleadError {
    if (!(error instanceof ApiError) || error.status !== 404) return error;
    return new FairleadError('no-node', `Node "${this.#node}" does not exist in the API`, {
      hint: 'it appears when its kubelet registers; check the node name if it has registered under another',
      cause: error,
    });
  }
}

function conditionOf(raw: Raw): Raw | undefined {
  return array(record(raw.status).conditions)
    .map(record)
    .find((condition) => condition.type === CONDITION);
}

function foreignNode(asked: string, own: string): FairleadError {
  return new FairleadError(
    'foreign-node',
    `Node "${asked}" is not ours to write on: this agent works for "${own}"`,
  );
}
