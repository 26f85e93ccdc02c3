import type { Clock } from '../model/clock.ts';
import type { Node, NodeFacts } from '../model/cluster/node.ts';
import { factsText } from '../plan/transports/facts.ts';
import type { Announcement } from '../targets/kube/node-status.ts';

/** After this long without an echo the next words may be told: the watch is away, and the marks stay. */
const ECHO_MS = 4_000;

/**
 * Facts that we wrote and that the watch has not shown us yet. Other nodes may have read them and rely on them already, so our own Node
 * carries their carriers as `unseen` until the echo comes; and nothing new is told before. Without both, settings that flip twice within
 * the latency of a watch lose packets (plan/transports/changeover.test.ts).
 */
export class OwnFacts implements Announcement {
  readonly #clock: Clock;
  readonly #marked: () => void;
  #unseen: readonly string[] = [];
  #echo: () => void = () => {};

  /** `marked`: the own Node must be put into the World anew. */
  constructor(clock: Clock, marked: () => void) {
    this.#clock = clock;
    this.#marked = marked;
  }

  telling(text: string): void {
    this.#unseen = [...this.#unseen, text];
    this.#marked();
  }

  refused(text: string): void {
    this.#unseen = this.#unseen.filter((one) => one !== text);
    this.#marked();
  }

  heard(): Promise<void> {
    if (this.#unseen.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#clock.after(ECHO_MS, resolve);
      this.#echo = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** Our own Node as the watch shows it. */
  shown(node: Node): void {
    if (!node.facts || this.#unseen.length === 0) return;
    const place = this.#unseen.lastIndexOf(factsText(node.facts));
    this.#unseen = this.#unseen.slice(place + 1);
    if (this.#unseen.length === 0) this.#echo();
  }

  mark({ unseen: _, ...node }: Node): Node {
    const carriers = this.#unseen.flatMap((text) => {
      const { accepts, uses } = JSON.parse(text) as NodeFacts;
      return [...accepts, ...uses];
    });
    return carriers.length === 0 ? node : { ...node, unseen: [...new Set(carriers)].sort() };
  }
}
