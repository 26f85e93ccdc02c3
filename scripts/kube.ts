/**
 * Builds the real etcd, kube-apiserver, controller-manager, kube-proxy and kubectl (one binary, Go) for the conformance tier.
 * The result lies in the user's cache, named by a hash of its source; without Go there is none, and the tier says so.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const SOURCE = join(import.meta.dirname, '../test/conformance/kube');
const VERSION = 'v1.36.3';

/** Path of the binary, or the reason why there is none. Takes about six minutes on two cores with cold caches. */
export function kubeBinary(): { path: string } | { missing: string } {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(join(SOURCE, file)));
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'fairlead');
  const path = join(cache, `kube-${VERSION}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(path)) return { path };
  if (spawnSync('go', ['version']).status !== 0) return { missing: 'no Go toolchain on this machine' };
  mkdirSync(cache, { recursive: true });
  console.error(`fairlead: building kube-apiserver ${VERSION} and etcd from Go modules, once; minutes`);
  const version = 'k8s.io/component-base/version';
  const flags = `-s -w -X ${version}.gitVersion=${VERSION} -X ${version}.gitMajor=1 -X ${version}.gitMinor=36`;
  const args = ['build', '-trimpath', '-ldflags', flags, '-o', `${path}.new`, '.'];
  const built = spawnSync('go', args, {
    cwd: SOURCE,
    stdio: ['ignore', 'inherit', 'pipe'],
    encoding: 'utf8',
  });
  if (built.status !== 0)
    return { missing: `go build failed: ${built.stderr.trim().split('\n').slice(-3).join(' | ')}` };
  renameSync(`${path}.new`, path);
  return { path };
}

if (import.meta.main) {
  const found = kubeBinary();
  if ('missing' in found) {
    console.error(`fairlead: ${found.missing}`);
    process.exit(1);
  }
  console.log(found.path);
}
