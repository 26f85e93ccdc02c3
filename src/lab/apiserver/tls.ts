import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { ipBytes, tryIp } from '../../model/net/ip.ts';

/** A certificate authority of its own and one server certificate, all PEM. */
export interface LabCertificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

// DER (X.690): a tag, a length, contents. Only what a certificate of RFC 5280 with P-256 keys needs.
function der(tag: number, ...contents: Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  const length: number[] = [];
  for (let rest = body.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff);
  const head = body.length < 128 ? [tag, body.length] : [tag, 0x80 | length.length, ...length];
  return Buffer.concat([Uint8Array.from(head), body]);
}

const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, ...parts);
const octets = (...parts: Uint8Array[]): Buffer => der(0x04, ...parts);
const explicit = (n: number, ...parts: Uint8Array[]): Buffer => der(0xa0 | n, ...parts);
const bitString = (bytes: Uint8Array, unused = 0): Buffer => der(0x03, Uint8Array.of(unused), bytes);
const yes = der(0x01, Uint8Array.of(0xff));

function oid(dotted: string): Buffer {
  const [a = 0, b = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [a * 40 + b];
  for (const arc of rest) {
    const septets = [arc & 0x7f];
    for (let high = arc >>> 7; high > 0; high >>>= 7) septets.unshift((high & 0x7f) | 0x80);
    bytes.push(...septets);
  }
  return der(0x06, Uint8Array.from(bytes));
}

function serial(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40; // positive, and no leading zero
  return der(0x02, bytes);
}

/** GeneralizedTime; clients accept it for every year. */
const time = (ms: number): Buffer =>
  der(0x18, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')}`));

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const commonName = (name: string): Buffer =>
  sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(name)))));
const extension = (id: string, critical: boolean, value: Uint8Array): Buffer =>
  sequence(oid(id), ...(critical ? [yes] : []), octets(value));

const keyId = (key: KeyObject): Buffer => createHash('sha1').update(spki(key)).digest();
const spki = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });

function altNames(hosts: readonly string[]): Buffer {
  // RFC 5280 section 4.2.1.6: dNSName is [2], iPAddress is [7].
  return sequence(
    ...hosts.map((host) => {
      const address = tryIp(host);
      return address === undefined ? der(0x82, Buffer.from(host)) : der(0x87, ipBytes(address));
    }),
  );
}

interface Request {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly issuerKey: KeyObject;
  readonly issuerPublic: KeyObject;
  readonly now: number;
  readonly extensions: readonly Uint8Array[];
}

function certificate(request: Request): string {
  const day = 86_400_000;
  const identifiers = [
    extension('2.5.29.14', false, octets(keyId(request.publicKey))),
    extension('2.5.29.35', false, sequence(der(0x80, keyId(request.issuerPublic)))),
  ];
  const signed = sequence(
    explicit(0, der(0x02, Uint8Array.of(2))), // version 3
    serial(),
    ecdsaWithSha256,
    commonName(request.issuer),
    sequence(time(request.now - day), time(request.now + 365 * day)),
    commonName(request.subject),
    spki(request.publicKey),
    explicit(3, sequence(...identifiers, ...request.extensions)),
  );
  const signature = sign('sha256', signed, request.issuerKey);
  return pem('CERTIFICATE', sequence(signed, ecdsaWithSha256, bitString(signature)));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** Makes a fresh CA and a server certificate for these DNS names and addresses, valid for a year around `now` (ms since the epoch). */
export function labCertificates(hosts: readonly string[], now: number): LabCertificates {
  const ca = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = 'fairlead lab CA';
  const common = { issuer, issuerKey: ca.privateKey, issuerPublic: ca.publicKey, now };
  const caCertificate = certificate({
    ...common,
    subject: issuer,
    publicKey: ca.publicKey,
    extensions: [
      extension('2.5.29.19', true, sequence(yes)), // basicConstraints: CA
      extension('2.5.29.15', true, bitString(Uint8Array.of(0x06), 1)), // keyCertSign, cRLSign
    ],
  });
  const serverCertificate = certificate({
    ...common,
    subject: 'fairlead lab API server',
    publicKey: server.publicKey,
    extensions: [
      extension('2.5.29.15', true, bitString(Uint8Array.of(0x80), 7)), // digitalSignature
      extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'))), // serverAuth
      extension('2.5.29.17', false, altNames(hosts)),
    ],
  });
  const key = server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { ca: caCertificate, cert: serverCertificate, key };
}
