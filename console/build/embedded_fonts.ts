import type { Plugin } from 'vite';

const FONT_FACE = /@font-face\s*\{[^}]*url\(\s*["']?data:font[^}]*\}/g;

/**
 * Drops the fonts that a library's stylesheet carries as base64.
 *
 * GraphiQL embeds 34 faces of Roboto and Fira Code: 300 KB that gzip cannot shrink, in a file that
 * blocks the first paint. The pages use the system's fonts instead (`--font-text`, `--font-code`).
 */
export function dropEmbeddedFonts(): Plugin {
  return {
    name: 'belfry:drop-embedded-fonts',
    enforce: 'pre',
    transform: {
      filter: { id: /\/node_modules\/.*\.css$/ },
      handler: (code) => ({ code: code.replace(FONT_FACE, ''), map: null }),
    },
  };
}
