import type { ExecSpec } from './exec-credential.ts';

/** Text that is given, or that lies in a file and may change there. */
export type TextSource = { readonly text: string } | { readonly file: string };

/** How to reach one API server and as whom. */
export interface ServerSettings {
  /** `https://host:port`, or `http://…` for a relay on loopback; a path in front of the API is kept. */
  readonly server: string;
  /** PEM. Absent = the CAs that Node.js trusts. */
  readonly ca?: TextSource;
  readonly insecureSkipTlsVerify?: boolean;
  /** Name to ask for and to check the certificate against, instead of the server's address. */
  readonly tlsServerName?: string;
  readonly token?: TextSource;
  /** PEM, both or none. */
  readonly clientCertificate?: TextSource;
  readonly clientKey?: TextSource;
  readonly exec?: ExecSpec;
}
