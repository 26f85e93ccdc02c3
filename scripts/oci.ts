/** Writes a container image as an OCI archive, with nothing but tar (https://github.com/opencontainers/image-spec, image-layout.md). */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Names as OCI and Go write them. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
/** Of this machine. */
export const ARCHITECTURE = ARCHITECTURES[process.arch] ?? process.arch;
const EPOCH = '1970-01-01T00:00:00Z';

export interface Layer {
  readonly name: string;
  /** Files of this machine by their path in the image. */
  readonly files: Readonly<Record<string, string>>;
  readonly folders?: readonly string[];
}

export interface Image {
  /** In full, with registry and tag. */
  readonly name: string;
  /** As in the specification's config.md: `{ Entrypoint: ['/pause'] }`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly layers: readonly Layer[];
}

/** The same input gives the same bytes. Returns the bytes of each layer, compressed. */
export function writeArchive({ name, config, layers }: Image, output: string): readonly number[] {
  const work = mkdtempSync(join(tmpdir(), 'fairlead-oci-'));
  try {
    const layout = join(work, 'layout');
    mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
    const put = (kind: string, content: Buffer | object) => {
      const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
      const digest = sha256(bytes);
      writeFileSync(join(layout, 'blobs/sha256', digest.replace('sha256:', '')), bytes);
      return { mediaType: `application/vnd.oci.image.${kind}`, digest, size: bytes.length };
    };
    const packed = layers.map((layer, i) => {
      const tar = pack(layer, join(work, `layer${i}`));
      return { blob: put('layer.v1.tar+gzip', gzipSync(tar)), diff: sha256(tar) };
    });
    const platform = { architecture: ARCHITECTURE, os: 'linux' };
    const manifest = put('manifest.v1+json', {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: put('config.v1+json', {
        ...platform,
        created: EPOCH,
        config,
        rootfs: { type: 'layers', diff_ids: packed.map(({ diff }) => diff) },
        history: layers.map((layer) => ({ created: EPOCH, created_by: layer.name })),
      }),
      layers: packed.map(({ blob }) => blob),
    });
    const annotations = {
      'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
      'io.containerd.image.name': name,
    };
    const index = { schemaVersion: 2, manifests: [{ ...manifest, platform, annotations }] };
    writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, tarOf(layout));
    return packed.map(({ blob }) => blob.size);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function pack(layer: Layer, stage: string): Buffer {
  for (const folder of layer.folders ?? []) mkdirSync(join(stage, folder), { recursive: true });
  for (const [path, source] of Object.entries(layer.files)) {
    mkdirSync(dirname(join(stage, path)), { recursive: true });
    copyFileSync(source, join(stage, path));
    chmodSync(join(stage, path), /\.cjs$|LICENSE$/.test(path) ? 0o644 : 0o755);
  }
  return tarOf(stage);
}

/** Order, times and owners do not depend on the machine. */
function tarOf(dir: string): Buffer {
  const flags = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=ustar'];
  const entries = globSync('*', { cwd: dir }).sort();
  return execFileSync('tar', [...flags, '-C', dir, '-cf', '-', ...entries], { maxBuffer: 1 << 30 });
}

const sha256 = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
