import type { Ip } from '../net/ip.ts';

/**
 * A connection-tracking entry that must not exist: rows of this target name what is wanted gone. The observed state is
 * the table itself, so a stale entry is a difference and never lost. Step 2 and 3 fill this target.
 */
export interface ConntrackBody {
  readonly protocol: number;
  readonly source: Ip;
  readonly destination: Ip;
}
