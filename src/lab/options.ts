import type { Topology } from './topology/topology.ts';

/** What a lab is started with; `options.json` in its state folder. */
export interface LabOptions {
  readonly topology: Topology;
  /** The agents' configuration (their configuration file's content), the same on every node. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly api: 'lab' | 'real';
  /** Root of the repository or of the installation: where `dist/` is. */
  readonly root: string;
  /** False: nodes come up without agents (tests start them later). */
  readonly agents: boolean;
  /** Return before the nodes are Ready and the pods run. */
  readonly wait: boolean;
}

/** The lab's state folder as seen from inside. */
export const INSIDE = '/run/lab';

/** Files in the state folder. */
export const CONTROL_SOCKET = 'control.sock';
export const API_SOCKET = 'api.sock';
