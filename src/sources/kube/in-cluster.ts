import { FairleadError } from '../../model/errors.ts';
import type { ServerSettings } from './settings.ts';

const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The settings that every pod gets: address by environment, token and CA as files that the kubelet renews. Throws `kube-in-cluster`. */
export function inClusterSettings(
  env: Readonly<Record<string, string | undefined>> = process.env,
  folder: string = FOLDER,
): ServerSettings {
  const host = env.KUBERNETES_SERVICE_HOST ?? '';
  const port = env.KUBERNETES_SERVICE_PORT ?? '';
  if (host === '' || port === '') {
    throw new FairleadError(
      'kube-in-cluster',
      'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set',
      {
        hint: 'outside a pod, name a kubeconfig',
      },
    );
  }
  const authority = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return {
    server: `https://${authority}:${port}`,
    ca: { file: `${folder}/ca.crt` },
    token: { file: `${folder}/token` },
  };
}
