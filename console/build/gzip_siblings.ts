import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import type { Plugin } from 'vite';

const TEXT = /\.(css|html|js|json|md|svg|txt)$/;
/** Below this a gzip file saves less than the bytes of its own header and of `Content-Encoding`. */
const BYTES_MIN = 512;

const compress = promisify(gzip);

/** Writes `name.gz` beside every text file of the output, for the server to send as it is. */
export function gzipSiblings(): Plugin {
  let folder = '';
  return {
    name: 'belfry:gzip-siblings',
    apply: 'build',
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    async closeBundle(error?: Error) {
      if (error !== undefined) return;
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      const files = entries
        .filter((entry) => entry.isFile() && TEXT.test(entry.name))
        .map((entry) => join(entry.parentPath, entry.name));
      await Promise.all(files.map(writeSibling));
    },
  };
}

async function writeSibling(file: string): Promise<void> {
  const bytes = await readFile(file);
  if (bytes.length < BYTES_MIN) return;
  await writeFile(`${file}.gz`, await compress(bytes, { level: constants.Z_BEST_COMPRESSION }));
}
