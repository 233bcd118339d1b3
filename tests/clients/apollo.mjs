// Apollo Client 4: queries, mutations, persisted queries, and subscriptions over both of its transports.

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client/core';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createHash } from 'node:crypto';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { HEADERS, HTTP, KEY, LOG, SERVER, TAIL, WS, event, log } from './server.mjs';
import { same, table } from './table.mjs';

const requests = [];
/** Notes what goes over the wire. */
async function noted(url, init) {
  const response = await fetch(url, init);
  requests.push({ method: init.method, url: String(url), body: init.body ?? '', status: response.status });
  return response;
}

const http = () => new HttpLink({ uri: HTTP, headers: HEADERS, fetch: noted });
const apollo = (link) =>
  new ApolloClient({ link, cache: new InMemoryCache(), defaultOptions: { query: { fetchPolicy: 'no-cache' } } });
const socket = () =>
  new GraphQLWsLink(createClient({ url: WS, webSocketImpl: WebSocket, connectionParams: { apiKey: KEY } }));
const persisted = (options) => {
  const sha256 = (text) => createHash('sha256').update(text).digest('hex');
  return ApolloLink.from([new PersistedQueryLink({ sha256, ...options }), http()]);
};

/** The messages of a tail, until `wanted` have come. */
function tail(client, component, wanted) {
  return new Promise((resolve, reject) => {
    const messages = [];
    let isFirst = true;
    const variables = { q: `component eq '${component}'` };
    const running = client.subscribe({ query: gql(TAIL), variables, fetchPolicy: 'no-cache' }).subscribe({
      next: ({ data, error }) => {
        if (error) return reject(error);
        if (isFirst) log(component, ['a', 'b', 'c']).catch(reject);
        isFirst = false;
        messages.push(...data.events.events.map((one) => one.message));
        if (messages.length < wanted) return;
        running.unsubscribe();
        resolve(messages);
      },
      error: reject,
    });
  });
}

await table('Apollo Client 4', [
  [
    'query',
    async () => {
      const { data } = await apollo(http()).query({ query: gql(SERVER) });
      same(typeof data.server.version, 'string');
    },
  ],
  [
    'mutation',
    async () => {
      const variables = { event: event('apollo', 'one') };
      const { data } = await apollo(http()).mutate({ mutation: gql(LOG), variables });
      same(data.eventLog.event.message, 'one');
    },
  ],
  [
    'an error has its code',
    async () => {
      const error = await apollo(http()).query({ query: gql('query { nothing }') }).catch((thrown) => thrown);
      same(error.errors?.[0]?.extensions?.code, 'GRAPHQL_VALIDATION_FAILED');
    },
  ],
  ...[false, true].map((useGETForHashedQueries) => [
    `persisted query${useGETForHashedQueries ? ', hash by GET' : ''}`,
    async () => {
      const client = apollo(persisted({ useGETForHashedQueries }));
      const query = gql(`query Persisted${useGETForHashedQueries} { server { version } }`);
      requests.length = 0;
      same(typeof (await client.query({ query })).data.server.version, 'string');
      same(typeof (await client.query({ query })).data.server.version, 'string');
      // The hash alone is not known, hash and text are sent, and then the hash is enough.
      const carried = requests.map(({ url, body }) => /[?&]query=|"query":/.test(url + body));
      same(carried, [false, true, false], 'requests with text');
      return requests.map(({ method, status }) => `${method} ${status}`).join(', ');
    },
  ]),
  ['subscription over the WebSocket', async () => same(await tail(apollo(socket()), 'apollo-ws', 3), ['a', 'b', 'c'])],
  [
    'subscription over multipart HTTP',
    async () => {
      requests.length = 0;
      same(await tail(apollo(http()), 'apollo-multipart', 3), ['a', 'b', 'c']);
    },
  ],
]);
