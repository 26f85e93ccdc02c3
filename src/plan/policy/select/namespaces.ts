import { type Labels, matches, type Selector } from '../../../model/cluster/selector.ts';
import { bucket, equality, takeOut } from './selector-file.ts';

/** Labels of namespaces. Which of them a selector matches is looked up by an equality that it demands, so that all others cost nothing. */
export class Namespaces {
  readonly #labels = new Map<string, Labels>();
  /** key → value → names */
  readonly #saying = new Map<string, Map<string, Set<string>>>();

  /** None while the Namespace is not there (yet). */
  labels(name: string): Labels {
    return this.#labels.get(name) ?? NO_LABELS;
  }

  set(name: string, after: Labels | undefined): void {
    const before = this.labels(name);
    if (after) this.#labels.set(name, after);
    else this.#labels.delete(name);
    for (const key in before) takeOut(this.#saying, key, before[key] ?? '', name);
    for (const key in after) bucket(this.#saying, key, after[key] ?? '').add(name);
  }

  /** Those of `among` (all that the caller knows, in the API or not) that match, and perhaps others that match. */
  *matching(selector: Selector, among: Iterable<string>): Iterable<string> {
    const term = equality(selector);
    if (!term) yield* this.#tried(selector, among);
    else
      for (const value of term.values)
        yield* this.#tried(selector, this.#saying.get(term.key)?.get(value) ?? []);
  }

  *#tried(selector: Selector, names: Iterable<string>): Iterable<string> {
    for (const name of names) if (matches(selector, this.labels(name))) yield name;
  }
}

const NO_LABELS: Labels = {};
