// graphql-codegen's client preset over schema.graphql and the operations of the README, and what it makes
// under `tsc --strict`.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generate } from '@graphql-codegen/cli';
import { parse } from 'graphql';
import { table } from './table.mjs';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const OUT = at('generated/');

/** The blocks of the README that are GraphQL; each is one operation with a name. */
const operations = [...readFileSync(at('../../README.md'), 'utf8').matchAll(/^```graphql\n([\s\S]*?)^```$/gm)].map(
  ([, text]) => text,
);
const names = operations.map((text) => parse(text).definitions[0].name.value);

/** A program that uses every operation with its types. */
const program = [
  "import type { ResultOf, VariablesOf } from '@graphql-typed-document-node/core';",
  "import * as made from './made/graphql';",
  "import { graphql } from './made/gql';",
  ...operations.map((text, n) => `export const operation${n} = graphql(\`${text}\`);`),
  ...names.map((name, n) => `export const same${n}: typeof made.${name}Document = operation${n};`),
  ...names.map((_, n) => `export type Data${n} = ResultOf<typeof operation${n}>;`),
  ...names.map((_, n) => `export type Variables${n} = VariablesOf<typeof operation${n}>;`),
  '',
].join('\n');

/** What the scalars are in TypeScript; another one must be named here before it is used. */
const config = { scalars: { Date: 'string', DateTime: 'string', Duration: 'string', JSON: 'unknown' }, strictScalars: true, useTypeImports: true };

await table('graphql-codegen, tsc --strict', [
  [
    'client preset',
    async () => {
      rmSync(OUT, { recursive: true, force: true });
      mkdirSync(OUT);
      writeFileSync(`${OUT}program.ts`, program);
      await generate(
        {
          schema: at('../../schema.graphql'),
          documents: [`${OUT}program.ts`],
          generates: { [`${OUT}made/`]: { preset: 'client', config } },
          silent: true,
        },
        true,
      );
      return `${operations.length} operations: ${names.join(', ')}`;
    },
  ],
  [
    'tsc --strict',
    async () => {
      const flags = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'esnext', '--moduleResolution', 'bundler'];
      try {
        execFileSync(at('node_modules/.bin/tsc'), [...flags, `${OUT}program.ts`], { encoding: 'utf8' });
      } catch (error) {
        throw new Error(error.stdout || error.message);
      }
    },
  ],
]);
