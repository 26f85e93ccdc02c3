import { ensure, type JsonObject, list, meta, objects, parseObject, sub, text, texts } from '../json.ts';
import { type Resource, type Resources, resource } from '../resources.ts';
import { type Cause, required, wrong } from '../status.ts';
import type { Admission, Context } from './admission.ts';
import { conform } from './custom-schema.ts';

/** The resources that a CRD serves: one a served version, all on one storage. */
function resourcesOf(crd: JsonObject): Resource[] {
  const spec = sub(crd, 'spec');
  const names = sub(spec, 'names');
  return objects(spec.versions)
    .filter((version) => version.served === true)
    .map((version) =>
      resource(
        `${text(spec.group)}/${text(version.name)}`,
        text(names.plural),
        text(names.kind),
        texts(names.shortNames).join(),
        {
          singular: text(names.singular) || text(names.kind).toLowerCase(),
          categories: texts(names.categories),
          namespaced: spec.scope === 'Namespaced',
          type: undefined,
          status: 'status' in sub(version, 'subresources'),
          generation: true,
          custom: true,
        },
      ),
    );
}

/** The schema of one version of a custom resource, with what `kubectl get` shows of it. */
export interface CustomVersion {
  readonly schema: JsonObject;
  readonly columns: readonly JsonObject[];
}

/** CRDs: storing one makes its resource served, removing one takes its objects with it. */
export class CustomResources {
  readonly versions = new Map<string, CustomVersion>();
  /** Rules of the served custom resources, by storage name; the lifecycle looks here. */
  readonly admissions: Record<string, Admission>;
  readonly #resources: Resources;
  readonly #serving = new Map<string, Resource[]>();

  constructor(resources: Resources, admissions: Record<string, Admission>) {
    this.#resources = resources;
    this.admissions = admissions;
  }

  readonly definitions: Admission = {
    create: (crd) => this.#defaults(crd),
    update: (crd) => this.#defaults(crd),
    validate: (crd) => definitionFaults(crd),
    stored: (crd, context) => this.#serve(crd, context),
    removed: (crd, { store }) => {
      for (const r of this.#serving.get(text(meta(crd).name)) ?? []) {
        for (const entry of store.list(r.storage, '')) store.remove(r, entry);
        this.#resources.drop(r);
      }
      this.#serving.delete(text(meta(crd).name));
    },
  };

  version(r: Resource): CustomVersion | undefined {
    return this.versions.get(`${r.storage}/${r.version}`);
  }

  #defaults(crd: JsonObject): void {
    const spec = ensure(crd, 'spec');
    const names = ensure(spec, 'names');
    names.singular ??= text(names.kind).toLowerCase();
    names.listKind ??= `${text(names.kind)}List`;
    ensure(spec, 'conversion').strategy ??= 'None';
  }

  #serve(crd: JsonObject, { store, resources, clock }: Context): void {
    const name = text(meta(crd).name);
    const served = resourcesOf(crd);
    for (const r of this.#serving.get(name) ?? []) this.#resources.drop(r);
    for (const r of served) this.#resources.add(r);
    this.#serving.set(name, served);
    for (const version of objects(sub(crd, 'spec').versions)) {
      this.versions.set(`${name}/${text(version.name)}`, {
        schema: sub(sub(version, 'schema'), 'openAPIV3Schema'),
        columns: objects(version.additionalPrinterColumns),
      });
    }
    this.admissions[name] = { validate: (object) => this.#customFaults(name, object) };
    if (list(sub(crd, 'status').conditions).length > 0) return;
    const now = new Date(clock.wall()).toISOString().replace(/\.\d+Z$/, 'Z');
    const condition = (type: string, reason: string, message: string): JsonObject => ({
      type,
      status: 'True',
      lastTransitionTime: now,
      reason,
      message,
    });
    const definition = resources.stored('customresourcedefinitions.apiextensions.k8s.io');
    const stored = store.get('customresourcedefinitions.apiextensions.k8s.io', name);
    if (!definition || !stored) return;
    const object = parseObject(stored.json);
    object.status = {
      conditions: [
        condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
        condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
      ],
      acceptedNames: sub(sub(crd, 'spec'), 'names'),
      storedVersions: objects(sub(crd, 'spec').versions)
        .filter((version) => version.storage === true)
        .map((version) => text(version.name)),
    };
    store.put(definition, object);
  }

  #customFaults(name: string, object: JsonObject): Cause[] {
    const version = text(object.apiVersion).split('/')[1] ?? '';
    return conform(object, this.versions.get(`${name}/${version}`)?.schema ?? {});
  }
}

function definitionFaults(crd: JsonObject): Cause[] {
  const spec = sub(crd, 'spec');
  const names = sub(spec, 'names');
  const causes: Cause[] = [];
  const expected = `${text(names.plural)}.${text(spec.group)}`;
  const name = text(meta(crd).name);
  if (name !== expected)
    causes.push(wrong('metadata.name', name, `must be spec.names.plural+"."+spec.group`));
  for (const field of ['group', 'scope'])
    if (text(spec[field]) === '') causes.push(required(`spec.${field}`));
  for (const field of ['plural', 'kind'])
    if (text(names[field]) === '') causes.push(required(`spec.names.${field}`));
  if (objects(spec.versions).filter((version) => version.storage === true).length !== 1) {
    causes.push(
      wrong('spec.versions', spec.versions, 'must have exactly one version marked as storage version'),
    );
  }
  objects(spec.versions).forEach((version, i) => {
    if (!('openAPIV3Schema' in sub(version, 'schema'))) {
      causes.push(required(`spec.versions[${i}].schema.openAPIV3Schema`, 'schemas are required'));
    }
  });
  return causes;
}
