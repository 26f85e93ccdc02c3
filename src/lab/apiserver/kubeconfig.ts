import { stringify } from 'yaml';

export interface KubeconfigOptions {
  readonly url: string;
  readonly ca?: string | undefined;
  readonly token?: string | undefined;
  /** Name of cluster, user and context. */
  readonly name?: string;
}

/** A kubeconfig that `kubectl` and the agents take, with everything inside it. kubectl sends tokens over https only. */
export function makeKubeconfig({ url, ca, token, name = 'fairlead-lab' }: KubeconfigOptions): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      {
        name,
        cluster: {
          server: url,
          ...(ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') }),
        },
      },
    ],
    users: [{ name, user: token === undefined ? {} : { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  });
}
