// Validates the operations that the playground opens with against the server's schema, so that the
// first thing a newcomer runs is never one that fails. Run by `npm run check`.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildSchema, GraphQLError, parse, validate } from 'graphql';

const schemaFile = fileURLToPath(new URL('../../schema.graphql', import.meta.url));
const folder = new URL('../src/playground/starters/', import.meta.url);

if (!existsSync(schemaFile)) {
  console.error('schema.graphql is missing: run `make schema` first');
  process.exit(1);
}

const schema = buildSchema(readFileSync(schemaFile, 'utf8'));
const problems = readdirSync(folder)
  .filter((name) => name.endsWith('.graphql'))
  .flatMap((name) => problemsOf(readFileSync(new URL(name, folder), 'utf8')).map((text) => `${name}:${text}`));

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}

function problemsOf(text) {
  return errorsOf(text).map((error) => `${error.locations?.[0]?.line ?? 1}: ${error.message}`);
}

function errorsOf(text) {
  try {
    return validate(schema, parse(text));
  } catch (error) {
    if (error instanceof GraphQLError) return [error];
    throw error;
  }
}
