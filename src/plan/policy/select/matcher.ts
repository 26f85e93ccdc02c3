import type { Labels, Selector } from '../../../model/cluster/selector.ts';
import type { Namespaces } from './namespaces.ts';
import { SelectorFile } from './selector-file.ts';

/** Selects pods: in one namespace by name, or in all namespaces that a selector matches. */
export interface Selecting {
  readonly scope: Scope;
  readonly pods: Selector;
}

export type Scope = string | Selector;

/** All that select in namespaces of one selector. */
interface Wide<T> {
  readonly selector: Selector;
  readonly file: SelectorFile<T>;
}

/** Which of many pod selectors match a pod: by its namespace, or its namespace's labels, then by its own labels. */
export class Matcher<T extends Selecting> {
  readonly #namespaces: Namespaces;
  readonly #narrow = new Map<string, SelectorFile<T>>();
  /** By selector text. */
  readonly #wide = new Map<string, Wide<T>>();
  readonly #wideFile = new SelectorFile<Wide<T>>(({ selector }) => selector);
  /** Those of `#wide` that match a namespace; a memo. */
  readonly #wideOf = new Map<string, readonly Wide<T>[]>();

  constructor(namespaces: Namespaces) {
    this.#namespaces = namespaces;
  }

  add(item: T): void {
    const { scope } = item;
    if (typeof scope === 'string') {
      const file = this.#narrow.get(scope) ?? new SelectorFile<T>(podsOf);
      this.#narrow.set(scope, file);
      file.add(item);
      return;
    }
    const wide = this.#wide.get(scope.text) ?? this.#widen(scope);
    wide.file.add(item);
  }

  remove(item: T): void {
    const { scope } = item;
    if (typeof scope === 'string') {
      const file = this.#narrow.get(scope);
      file?.remove(item);
      if (file?.empty) this.#narrow.delete(scope);
      return;
    }
    const wide = this.#wide.get(scope.text);
    wide?.file.remove(item);
    if (!wide?.file.empty) return;
    this.#wide.delete(scope.text);
    this.#wideFile.remove(wide);
    for (const namespace of this.#namespaces.matching(scope, this.#wideOf.keys())) {
      const all = this.#wideOf.get(namespace);
      if (!all) continue;
      const rest = all.filter((one) => one !== wide);
      this.#wideOf.set(namespace, rest);
    }
  }

  find(namespace: string, labels: Labels): T[] {
    const found: T[] = [];
    this.#narrow.get(namespace)?.find(labels, found);
    for (const { file } of this.#wides(namespace)) file.find(labels, found);
    return found;
  }

  /** Takes in new labels of a namespace. Returns what tells whether a pod in it, by its labels, is now selected by more or fewer. */
  relabel(namespace: string, before: Labels, after: Labels): (labels: Labels) => boolean {
    this.#wideOf.delete(namespace);
    const old: Wide<T>[] = [];
    const now: Wide<T>[] = [];
    this.#wideFile.find(before, old);
    this.#wideFile.find(after, now);
    const changed = [...old.filter((one) => !now.includes(one)), ...now.filter((one) => !old.includes(one))];
    const found: T[] = [];
    return (labels) => {
      found.length = 0;
      for (const { file } of changed) file.find(labels, found);
      return found.length > 0;
    };
  }

  #widen(selector: Selector): Wide<T> {
    const wide = { selector, file: new SelectorFile<T>(podsOf) };
    this.#wide.set(selector.text, wide);
    this.#wideFile.add(wide);
    for (const namespace of this.#namespaces.matching(selector, this.#wideOf.keys())) {
      const all = this.#wideOf.get(namespace);
      if (all) this.#wideOf.set(namespace, [...all, wide]);
    }
    return wide;
  }

  #wides(namespace: string): readonly Wide<T>[] {
    const known = this.#wideOf.get(namespace);
    if (known) return known;
    const found: Wide<T>[] = [];
    this.#wideFile.find(this.#namespaces.labels(namespace), found);
    this.#wideOf.set(namespace, found);
    return found;
  }
}

const podsOf = ({ pods }: Selecting): Selector => pods;
