/** Throw-away certificates, made by `openssl` in a folder of their own when a test asks for them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

const NEW_KEY = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';

export class CertificateAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), 'fairlead-ca-'));
  readonly ca: string;

  constructor(name = 'test CA') {
    this.#openssl(`req -x509 ${NEW_KEY} -days 30 -keyout ca.key -out ca.crt`, '-subj', `/CN=${name}`);
    this.ca = this.read('ca.crt');
  }

  /** A certificate for servers and clients alike. `names` as `DNS:a` or `IP:127.0.0.1`; `days` below zero = expired. */
  issue(name: string, names: readonly string[] = [], days = 30): KeyPair {
    const alt = names.length > 0 ? `subjectAltName=${names.join(',')}\n` : '';
    writeFileSync(join(this.folder, 'extensions'), `${alt}extendedKeyUsage=serverAuth,clientAuth\n`);
    this.#openssl(`req ${NEW_KEY} -keyout leaf.key -out leaf.csr`, '-subj', `/CN=${name}`);
    const signing =
      '-req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile extensions -out leaf.crt';
    this.#openssl(`x509 ${signing} -days ${days}`);
    return { cert: this.read('leaf.crt'), key: this.read('leaf.key') };
  }

  read(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8');
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #openssl(words: string, ...more: string[]): void {
    execFileSync('openssl', [...words.split(' '), ...more], {
      cwd: this.folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }
}
