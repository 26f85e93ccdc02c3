import type { ApiAccess } from './client.ts';

/** What a node may be made to hear from the API server, besides the truth. */
export interface ApiFault {
  /** HTTP status of every answer: 401, 403, 429 or 500. */
  readonly status: number;
  /** Only for this verb, as RBAC writes it: `list` (also a watch that begins with one), `watch`, `patch` … */
  readonly verb?: string;
  /** Only for this resource, by plural name. */
  readonly resource?: string;
  /** Only so many times; absent = until cleared. */
  readonly times?: number;
}

/** An API server of the lab: its own small one, or a real kube-apiserver. Both speak TLS on a unix socket. */
export interface ApiService {
  readonly access: ApiAccess;
  /** Certificate by which clients know it, PEM. */
  readonly ca: string;
  /** Makes the server fail; `undefined` ends all that. Throws where it cannot. */
  fault(fault: ApiFault | undefined): void | Promise<void>;
  /** How many requests an armed fault has hit. */
  readonly faultsHit: number;
  /** Forgets the history of changes, so that watches from before are answered 410. Throws where it cannot. */
  compact(): void;
  /** Whether it stores what it would refuse, as an older server or definition may have done. Throws where it cannot. */
  believe(everything: boolean): void;
  close(): Promise<void>;
}

export function kubeconfig(server: string, { access, ca }: Pick<ApiService, 'access' | 'ca'>): string {
  return `apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster:
    server: ${server}
    certificate-authority-data: ${Buffer.from(ca).toString('base64')}
users:
- name: admin
  user:
    token: ${access.token}
contexts:
- name: lab
  context:
    cluster: lab
    user: admin
    namespace: default
current-context: lab
`;
}
