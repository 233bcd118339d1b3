// npm graphql-sse, in the distinct connections mode, against server-sent events.

import { createClient } from 'graphql-sse';
import { HEADERS, HTTP, LOG, SERVER, TAIL, event, log } from './server.mjs';
import { same, table } from './table.mjs';

const client = (options = {}) => createClient({ url: HTTP, headers: HEADERS, retryAttempts: 0, ...options });

/** Every result of an operation that ends by itself. */
async function all(operation) {
  const results = [];
  for await (const result of client().iterate(operation)) results.push(result);
  return results;
}

/** Reads a tail until `wanted` messages have come. */
async function tail(component, wanted, options = {}) {
  const { after, started = () => {}, ...rest } = options;
  const variables = { after, q: `component eq '${component}'` };
  const messages = [];
  let cursor;
  for await (const { data, errors } of client(rest).iterate({ query: TAIL, variables })) {
    if (errors) throw new Error(JSON.stringify(errors));
    if (cursor === undefined) started();
    cursor = data.events.cursor;
    messages.push(...data.events.events.map((one) => one.message));
    if (wanted <= messages.length) break;
  }
  return { messages, cursor };
}

await table('graphql-sse', [
  [
    'query ends in complete',
    async () => {
      const results = await all({ query: SERVER });
      same([results.length, typeof results[0].data.server.version], [1, 'string']);
    },
  ],
  [
    'mutation',
    async () => {
      const [result] = await all({ query: LOG, variables: { event: event('sse', 'one') } });
      same(result.data.eventLog.event.message, 'one');
    },
  ],
  [
    'an error of validation is a result',
    async () => {
      const [result] = await all({ query: '{ nothing }' });
      same(result.errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
    },
  ],
  [
    'subscription',
    async () => {
      const started = () => log('sse-live', ['a', 'b', 'c']);
      same((await tail('sse-live', 3, { started })).messages, ['a', 'b', 'c']);
    },
  ],
  [
    'resumes after its cursor without loss',
    async () => {
      const first = await tail('sse-resume', 1, { started: () => log('sse-resume', ['a']) });
      await log('sse-resume', ['b', 'c']);
      same((await tail('sse-resume', 2, { after: first.cursor })).messages, ['b', 'c']);
    },
  ],
  [
    'goes on after Last-Event-ID',
    async () => {
      const first = await tail('sse-id', 1, { started: () => log('sse-id', ['a']) });
      await log('sse-id', ['b']);
      const headers = { ...HEADERS, 'last-event-id': first.cursor };
      same((await tail('sse-id', 1, { headers })).messages, ['b']);
    },
  ],
  [
    'a key that does not hold is a refused connection',
    async () => {
      const wrong = client({ headers: { authorization: 'Bearer nonsense' } });
      const thrown = await wrong.iterate({ query: SERVER }).next().catch((error) => error);
      same(thrown.response?.status, 401);
    },
  ],
]);
