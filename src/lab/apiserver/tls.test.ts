import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { labCertificates } from './tls.ts';

test('the server certificate is for its names and addresses, and signed by the CA', () => {
  const made = labCertificates(['localhost', '127.0.0.1', '::1', 'kubernetes.default.svc'], Date.now());
  const ca = new X509Certificate(made.ca);
  const server = new X509Certificate(made.cert);
  assert.ok(ca.ca);
  assert.ok(ca.verify(ca.publicKey));
  assert.ok(server.verify(ca.publicKey));
  assert.ok(server.checkIssued(ca));
  assert.ok(!server.ca);
  for (const host of ['localhost', 'kubernetes.default.svc']) assert.equal(server.checkHost(host), host);
  for (const ip of ['127.0.0.1', '::1']) assert.equal(server.checkIP(ip), ip);
  assert.equal(server.checkHost('example.com'), undefined);
  assert.ok(server.validFromDate.getTime() < Date.now() && server.validToDate.getTime() > Date.now());
});

test('it holds for a year and not longer', () => {
  const now = Date.UTC(2030, 0, 1);
  const { validFromDate, validToDate } = new X509Certificate(labCertificates(['x'], now).cert);
  assert.equal(validFromDate.toISOString(), '2029-12-31T00:00:00.000Z');
  assert.equal(validToDate.toISOString(), '2031-01-01T00:00:00.000Z');
});
