import { randomUUID } from 'node:crypto';
import type { Admission, Context } from './admission/admission.ts';
import { metadataFaults } from './admission/metadata.ts';
import { clone, ensure, equal, type JsonObject, list, meta, parseObject, sub, text } from './json.ts';
import { sameButTimes } from './patch/apply.ts';
import { trackUpdate, type Writer } from './patch/managers.ts';
import { apiVersion, type Resource, type Resources } from './resources.ts';
import { struct } from './schema/notation.ts';
import { alreadyExists, badRequest, conflict, forbidden, invalid, notFound } from './status.ts';
import type { Entry, Store } from './store.ts';

export interface WriteOptions {
  readonly dryRun: boolean;
  readonly writer: Writer;
}

/** Which part an update may change. */
export type Part = 'main' | 'status';

const rfc3339 = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
const suffixLetters = 'bcdfghjklmnpqrstvwxz2456789';

/** Creating, updating and removing objects by the rules that all kinds share; what is special is in `admission/`. */
export class Lifecycle {
  readonly store: Store;
  readonly resources: Resources;
  readonly #admissions: Readonly<Record<string, Admission>>;
  readonly #context: Omit<Context, 'dryRun'>;
  readonly #random: () => number;
  /** Objects are not validated, so that there can be some that an older server or definition let in. */
  credulous = false;

  constructor(
    context: Omit<Context, 'dryRun'>,
    admissions: Readonly<Record<string, Admission>>,
    random: () => number,
  ) {
    this.store = context.store;
    this.resources = context.resources;
    this.#context = context;
    this.#admissions = admissions;
    this.#random = random;
  }

  now(): string {
    return rfc3339(this.#context.clock.wall());
  }

  find(r: Resource, namespace: string, name: string): Entry {
    const entry = this.store.get(r.storage, namespace === '' ? name : `${namespace}/${name}`);
    if (!entry) throw notFound(r, name);
    return entry;
  }

  /** Makes an object; returns it as stored. `object` is taken over. */
  create(r: Resource, namespace: string, object: JsonObject, options: WriteOptions): JsonObject {
    const metadata = ensure(object, 'metadata');
    this.#checkNamespace(r, namespace, metadata);
    if (text(metadata.resourceVersion) !== '')
      throw badRequest('resourceVersion should not be set on objects to be created');
    if (text(metadata.name) === '' && text(metadata.generateName) !== '')
      metadata.name = this.#generateName(r, metadata);
    object.kind = r.kind;
    object.apiVersion = apiVersion(r);
    metadata.uid = randomUUID();
    metadata.creationTimestamp = this.now();
    for (const key of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink', 'generation'])
      delete metadata[key];
    if (r.generation) metadata.generation = 1;
    if (r.status && r.storage !== 'nodes') delete object.status;
    const context = { ...this.#context, dryRun: options.dryRun };
    const admission = this.#admissions[r.storage];
    const key = namespace === '' ? text(metadata.name) : `${namespace}/${text(metadata.name)}`;
    const exists = this.store.get(r.storage, key) !== undefined;
    // Ranges must not be used up by an object that is refused.
    admission?.create?.(object, exists ? { ...context, dryRun: true } : context);
    this.#validate(r, object, undefined);
    if (exists) throw alreadyExists(r, text(metadata.name));
    if (!options.dryRun) {
      this.store.put(r, object);
      admission?.stored?.(object, context);
    }
    return object;
  }

  /** Replaces one part of an object. A resourceVersion or uid in it must be the stored one. */
  update(r: Resource, entry: Entry, object: JsonObject, part: Part, options: WriteOptions): JsonObject {
    const old = parseObject(entry.json);
    const metadata = ensure(object, 'metadata');
    const oldMeta = meta(old);
    if (text(metadata.resourceVersion) !== '' && text(metadata.resourceVersion) !== String(entry.revision)) {
      throw conflict(r, entry.name);
    }
    if (text(metadata.uid) !== '' && text(metadata.uid) !== entry.uid) {
      throw conflict(
        r,
        entry.name,
        `Precondition failed: UID in precondition: ${text(metadata.uid)}, UID in object meta: ${entry.uid}`,
      );
    }
    object.kind = r.kind;
    object.apiVersion = apiVersion(r);
    const fixed =
      'name namespace uid resourceVersion creationTimestamp generation deletionTimestamp deletionGracePeriodSeconds generateName';
    for (const key of fixed.split(' ')) {
      const value = oldMeta[key];
      if (value !== undefined) metadata[key] = value;
      else delete metadata[key];
    }
    if (options.writer.operation === 'Update') this.#keepManagers(metadata, oldMeta);
    const result = this.#onlyPart(r, object, old, part);
    const context = { ...this.#context, dryRun: options.dryRun };
    const admission = this.#admissions[r.storage];
    if (part === 'main') admission?.update?.(result, old, context);
    this.#validate(r, result, old);
    if (options.writer.operation === 'Update') trackUpdate(old, result, struct(r.type), options.writer);
    if (part === 'main' && r.generation && specChanged(result, old)) {
      ensure(result, 'metadata').generation = Number(oldMeta.generation ?? 0) + 1;
    }
    if (sameButTimes(result, old)) return old;
    if (options.dryRun) return result;
    if (this.#isReleased(result)) return this.#removeNow(r, entry, result);
    this.store.put(r, result);
    admission?.stored?.(result, context);
    return result;
  }

  /**
   * Asks for an object's removal. It goes at once, unless finalizers hold it or (pods that run on a node) its grace period is to be
   * waited for; then it stays with a deletionTimestamp. Returns the object and whether it is gone.
   */
  remove(
    r: Resource,
    entry: Entry,
    options: JsonObject,
    dryRun: boolean,
  ): { object: JsonObject; gone: boolean } {
    const object = parseObject(entry.json);
    const metadata = ensure(object, 'metadata');
    this.#checkPreconditions(r, entry, sub(options, 'preconditions'));
    const grace = gracePeriod(r, object, options.gracePeriodSeconds);
    const deleting = text(metadata.deletionTimestamp) !== '';
    const finalizers = [
      ...list(metadata.finalizers),
      ...(r.storage === 'namespaces' ? list(sub(object, 'spec').finalizers) : []),
    ];
    const waits = grace > 0 || finalizers.length > 0;
    if (!waits) {
      if (r.storage === 'pods') {
        metadata.deletionTimestamp = this.now();
        metadata.deletionGracePeriodSeconds = 0;
      }
      return { object: dryRun ? object : this.#removeNow(r, entry, object), gone: true };
    }
    const shorter = grace < Number(metadata.deletionGracePeriodSeconds ?? 0);
    if (deleting && !shorter) return { object, gone: false };
    metadata.deletionTimestamp = rfc3339(this.#context.clock.wall() + grace * 1000);
    if (r.storage !== 'namespaces') metadata.deletionGracePeriodSeconds = grace;
    if (r.generation) metadata.generation = Number(metadata.generation ?? 0) + (deleting ? 0 : 1);
    if (r.storage === 'namespaces') ensure(object, 'status').phase = 'Terminating';
    if (!dryRun) {
      this.store.put(r, object);
      this.#admissions[r.storage]?.stored?.(object, { ...this.#context, dryRun });
    }
    return { object, gone: false };
  }

  /** A namespace in deletion has lost its last object: its own finalizer goes, and with it the namespace. */
  finishNamespace(r: Resource, entry: Entry): void {
    const object = parseObject(entry.json);
    if (list(meta(object).finalizers).length === 0) this.#removeNow(r, entry, object);
  }

  #removeNow(r: Resource, entry: Entry, object: JsonObject): JsonObject {
    ensure(object, 'metadata').resourceVersion = String(this.store.remove(r, entry));
    this.#admissions[r.storage]?.removed?.(object, { ...this.#context, dryRun: false });
    return object;
  }

  #isReleased(object: JsonObject): boolean {
    const metadata = meta(object);
    return (
      text(metadata.deletionTimestamp) !== '' &&
      list(metadata.finalizers).length === 0 &&
      list(sub(object, 'spec').finalizers).length === 0 &&
      Number(metadata.deletionGracePeriodSeconds ?? 0) === 0
    );
  }

  #checkNamespace(r: Resource, namespace: string, metadata: JsonObject): void {
    const own = text(metadata.namespace);
    if (own !== '' && own !== namespace) {
      throw badRequest(
        'the namespace of the provided object does not match the namespace sent on the request',
      );
    }
    if (!r.namespaced) return;
    metadata.namespace = namespace;
    const namespaces = this.resources.stored('namespaces');
    const found = this.store.get('namespaces', namespace);
    if (!found) throw notFound(namespaces ?? r, namespace);
    if (text(sub(parseObject(found.json), 'status').phase) !== 'Terminating') return;
    throw forbidden(
      r,
      text(metadata.name),
      `unable to create new content in namespace ${namespace} because it is being terminated`,
      [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    );
  }

  #generateName(r: Resource, metadata: JsonObject): string {
    const base = text(metadata.generateName).slice(0, 58);
    for (;;) {
      let name = base;
      for (let i = 0; i < 5; i++)
        name += suffixLetters[Math.floor(this.#random() * suffixLetters.length)] ?? 'x';
      const namespace = text(metadata.namespace);
      if (!this.store.get(r.storage, namespace === '' ? name : `${namespace}/${name}`)) return name;
    }
  }

  #checkPreconditions(r: Resource, entry: Entry, wanted: JsonObject): void {
    const fail = (what: string, asked: string, found: string): never => {
      const words = `the ${what} in the precondition (${asked}) does not match the ${what} in record (${found}). The object might have been ${what === 'UID' ? 'deleted and then recreated' : 'modified'}`;
      throw conflict({ ...r, plural: r.kind }, entry.name, words);
    };
    const { uid, resourceVersion } = wanted;
    if (text(uid) !== '' && text(uid) !== entry.uid) fail('UID', text(uid), entry.uid);
    if (text(resourceVersion) !== '' && text(resourceVersion) !== String(entry.revision)) {
      fail('ResourceVersion', text(resourceVersion), String(entry.revision));
    }
  }

  #keepManagers(metadata: JsonObject, oldMeta: JsonObject): void {
    const given = metadata.managedFields;
    // An explicit empty list is the documented way to forget all managers.
    const reset = Array.isArray(given) && given.every((entry) => equal(entry, {}));
    if (reset || oldMeta.managedFields === undefined) delete metadata.managedFields;
    else metadata.managedFields = oldMeta.managedFields;
  }

  /** Status writes leave the rest as it was, other writes leave the status. */
  #onlyPart(r: Resource, object: JsonObject, old: JsonObject, part: Part): JsonObject {
    if (!r.status) return object;
    if (part === 'main') {
      const { status: _, ...rest } = object;
      return old.status === undefined ? rest : { ...rest, status: old.status };
    }
    const { metadata, status } = object;
    const { status: _, ...rest } = old;
    const kept = clone(rest);
    const given = sub(object, 'metadata');
    const oldMeta = sub(old, 'metadata');
    const metadataAfter = r.custom
      ? { ...oldMeta, ...(given.managedFields === undefined ? {} : { managedFields: given.managedFields }) }
      : { ...(metadata as JsonObject), ...pick(oldMeta, ['finalizers', 'ownerReferences']) };
    return { ...kept, metadata: metadataAfter, ...(status === undefined ? {} : { status }) };
  }

  #validate(r: Resource, object: JsonObject, old: JsonObject | undefined): void {
    const causes = [
      ...metadataFaults(r, object),
      ...(this.credulous ? [] : (this.#admissions[r.storage]?.validate?.(object, old) ?? [])),
    ];
    if (causes.length > 0) throw invalid(r, text(meta(object).name), causes);
  }
}

const pick = (object: JsonObject, keys: readonly string[]): JsonObject =>
  Object.fromEntries(keys.flatMap((key) => (object[key] === undefined ? [] : [[key, object[key]]])));

function specChanged(object: JsonObject, old: JsonObject): boolean {
  const strip = ({ metadata: _m, status: _s, ...rest }: JsonObject): JsonObject => rest;
  return !equal(strip(object), strip(old));
}

/** Seconds that a deletion waits: only pods that were given to a node and have not ended. */
function gracePeriod(r: Resource, object: JsonObject, asked: JsonObject[string] | undefined): number {
  if (r.storage !== 'pods') return 0;
  const spec = sub(object, 'spec');
  const phase = text(sub(object, 'status').phase);
  if (text(spec.nodeName) === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
  return Math.max(0, Number(asked ?? spec.terminationGracePeriodSeconds ?? 30));
}
