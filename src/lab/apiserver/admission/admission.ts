import type { Clock } from '../../../model/clock.ts';
import type { JsonObject } from '../json.ts';
import type { Resources } from '../resources.ts';
import type { Cause } from '../status.ts';
import type { Store } from '../store.ts';

/** What rules may look at besides the object. */
export interface Context {
  readonly store: Store;
  readonly resources: Resources;
  readonly clock: Clock;
  /** Of the running request. */
  readonly dryRun: boolean;
}

/** What is special about one kind. All parts are optional; objects are changed in place before they are validated and stored. */
export interface Admission {
  /** Defaults, and what the server decides when an object is made. */
  create?(object: JsonObject, context: Context): void;
  /** What an update may not change goes back to what it was. Status and metadata are already dealt with. */
  update?(object: JsonObject, old: JsonObject, context: Context): void;
  validate?(object: JsonObject, old: JsonObject | undefined): Cause[];
  /** After a create or an update was stored. */
  stored?(object: JsonObject, context: Context): void;
  /** After an object was removed. */
  removed?(object: JsonObject, context: Context): void;
}
