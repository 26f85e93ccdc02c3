import type { Json, JsonObject } from '../json.ts';
import { apiVersion, type Resource } from '../resources.ts';

/** Field names of the two shapes of an Event: core v1 (as stored) and events.k8s.io/v1. */
const eventNames: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['reportingComponent', 'reportingController'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
];

function rename(object: JsonObject, from: 0 | 1): JsonObject {
  const out: JsonObject = { ...object };
  for (const pair of eventNames) {
    const value: Json | undefined = out[pair[from]];
    if (value === undefined) continue;
    delete out[pair[from]];
    out[pair[1 - from] ?? ''] = value;
  }
  return out;
}

const isNewEvent = (r: Resource): boolean => r.group === 'events.k8s.io';

/** A stored object in the shape of the resource that was asked for. */
export function fromStored(r: Resource, object: JsonObject): JsonObject {
  const { kind: _k, apiVersion: _a, ...rest } = isNewEvent(r) ? rename(object, 0) : object;
  return { kind: r.kind, apiVersion: apiVersion(r), ...rest };
}

/** An object that came through a resource, in the shape that is stored. */
export function toStored(r: Resource, stored: Resource, object: JsonObject): JsonObject {
  if (!isNewEvent(r)) return object;
  return { ...rename(object, 1), kind: stored.kind, apiVersion: apiVersion(stored) };
}
