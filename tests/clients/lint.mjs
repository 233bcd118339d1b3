// The schema by the rules of graphql-eslint: Relay's, those of names, and a description on everything.

import { fileURLToPath } from 'node:url';
import graphqlPlugin from '@graphql-eslint/eslint-plugin';
import { ESLint } from 'eslint';
import { show } from './table.mjs';

const SCHEMA = fileURLToPath(new URL('../../schema.graphql', import.meta.url));
const { configs } = graphqlPlugin;

const rules = {
  ...configs['flat/schema-recommended'].rules,
  ...configs['flat/schema-relay'].rules,
  // Lists of objects are not only lists of edges: `nodes` beside `edges`, `userErrors`.
  '@graphql-eslint/relay-edge-types': ['error', { listTypeCanWrapOnlyEdgeType: false }],
  // What has an identity implements Node; much has none.
  '@graphql-eslint/strict-id-in-types': 'off',
  '@graphql-eslint/input-name': ['error', { caseSensitiveInputType: false }],
  // Descriptions of one line have the same form as long ones.
  '@graphql-eslint/description-style': ['error', { style: 'block' }],
  '@graphql-eslint/require-description': [
    'error',
    {
      types: true,
      rootField: true,
      FieldDefinition: true,
      InputValueDefinition: true,
      EnumValueDefinition: true,
      DirectiveDefinition: true,
    },
  ],
};

const eslint = new ESLint({
  cwd: fileURLToPath(new URL('../..', import.meta.url)),
  overrideConfigFile: true,
  overrideConfig: [
    {
      files: ['**/*.graphql'],
      languageOptions: {
        parser: graphqlPlugin.parser,
        parserOptions: { graphQLConfig: { schema: SCHEMA } },
      },
      plugins: { '@graphql-eslint': graphqlPlugin },
      rules,
    },
  ],
});

/** The directives of the specification itself, which has the words for their arguments. */
const OF_THE_SPECIFICATION = /in directive "(deprecated|include|skip|specifiedBy)"/;

const [result] = await eslint.lintFiles([SCHEMA]);
const messages = result.messages.filter(({ message }) => !OF_THE_SPECIFICATION.test(message));
const rows = messages.map(({ line, ruleId, message }) => ['FAIL', `schema.graphql:${line}`, `${ruleId}: ${message}`]);
rows.push([messages.length === 0 ? 'ok' : 'FAIL', 'problems', String(messages.length)]);
show(`graphql-eslint, ${Object.keys(rules).length} rules`, rows);
