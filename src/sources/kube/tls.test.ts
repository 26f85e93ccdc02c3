import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { CertificateAuthority } from '../../../test/support/certificates.ts';
import { clientBench, failure } from '../../../test/support/kube-client.ts';
import { type Handler, reply, status } from '../../../test/support/kube-server.ts';
import { ConnectionError } from './errors.ts';
import { NODES } from './resource.ts';

const { serve, client, folder, later } = clientBench();

const node = (name: string) => ({ ...NODES, name });

describe('TLS', () => {
  let authority: CertificateAuthority;
  before(() => {
    authority = new CertificateAuthority();
  });
  after(() => authority.close());

  const hello: Handler = (asked, response) => reply(response, 200, { path: asked.path });

  test('the CA is checked, and the name', async () => {
    const server = await serve(hello, authority.issue('server', ['IP:127.0.0.1']));
    await client({ server: server.url, ca: { text: authority.ca } }).get(node('n'));
    await client({ server: server.url, insecureSkipTlsVerify: true }).get(node('n'));
    const unknown = await failure(client({ server: server.url }).get(node('n')));
    assert.equal(unknown.code, 'kube-tls');
    assert.match(unknown.message, /not signed by the expected CA/);
    const named = await serve(hello, authority.issue('named', ['DNS:api.example']));
    const wrong = await failure(client({ server: named.url, ca: { text: authority.ca } }).get(node('n')));
    assert.match(wrong.message, /certificate is for another name/);
    await client({ server: named.url, ca: { text: authority.ca }, tlsServerName: 'api.example' }).get(
      node('n'),
    );
    const garbage = await failure(client({ server: named.url, ca: { text: 'no PEM' } }).get(node('n')));
    assert.ok(garbage instanceof ConnectionError);
  });

  test('an expired server certificate says so', async () => {
    const server = await serve(hello, authority.issue('old', ['IP:127.0.0.1'], -1));
    const error = await failure(client({ server: server.url, ca: { text: authority.ca } }).get(node('n')));
    assert.match(error.message, /the API server's certificate has expired/);
    assert.match(error.hint ?? '', /clock/);
  });

  test('a CA file that is renewed together with the server', async () => {
    const other = new CertificateAuthority('new CA');
    later(() => other.close());
    const file = join(folder(), 'ca.crt');
    writeFileSync(file, authority.ca);
    const server = await serve(hello, other.issue('server', ['IP:127.0.0.1']));
    const c = client({ server: server.url, ca: { file } });
    await failure(c.get(node('n')));
    writeFileSync(file, other.ca);
    await c.get(node('n'));
  });

  test('client certificate, by data in a kubeconfig; an expired one says so', async () => {
    const pair = authority.issue('system:node:n1');
    const server = await serve(
      (_, response) => {
        const peer = (response.socket as TLSSocket).getPeerCertificate();
        if (peer.subject?.CN === 'system:node:n1') reply(response, 200, { metadata: { name: 'n' } });
        else reply(response, 401, status(401, 'Unauthorized', 'Unauthorized'));
      },
      {
        ...authority.issue('server2', ['IP:127.0.0.1']),
        ca: authority.ca,
        requestCert: true,
        rejectUnauthorized: false,
      },
    );
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const kubeconfig = join(folder(), 'config');
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        contexts: [{ name: 'a', context: { cluster: 'c', user: 'u' } }],
        clusters: [
          { name: 'c', cluster: { server: server.url, 'certificate-authority-data': base64(authority.ca) } },
        ],
        users: [
          {
            name: 'u',
            user: { 'client-certificate-data': base64(pair.cert), 'client-key-data': base64(pair.key) },
          },
        ],
      }),
    );
    await client({ kubeconfig, context: 'a' }).get(node('n'));
    const old = authority.issue('expired', [], -1);
    const c = client({
      server: server.url,
      ca: { text: authority.ca },
      clientCertificate: { text: old.cert },
      clientKey: { text: old.key },
    });
    assert.match((await failure(c.get(node('n')))).hint ?? '', /the client certificate expired on 20/);
  });
});
