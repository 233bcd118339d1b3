import { defineConfig } from 'vite';
import { dropEmbeddedFonts } from './build/embedded_fonts.ts';
import { gzipSiblings } from './build/gzip_siblings.ts';

// `dist/` is what server/build.rs looks for and server/src/http/playground.rs serves: the page at
// /playground, everything else below /playground/.
export default defineConfig({
  base: '/playground/',
  plugins: [dropEmbeddedFonts(), gzipSiblings()],
  build: {
    target: 'es2022',
    // Every asset is a file with a hash in its name, so that the page's policy needs no `data:` for
    // scripts and fonts, and everything but the page is cached for good.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1200,
    // The licences of what is bundled travel with it.
    license: { fileName: 'licenses.md' },
    rolldownOptions: {
      input: 'playground.html',
      // "use no memo" of the React compiler means nothing to a bundler.
      checks: { moduleLevelDirective: false },
    },
  },
  server: {
    proxy: { '/graphql': { target: 'http://127.0.0.1:8000', ws: true } },
  },
});
