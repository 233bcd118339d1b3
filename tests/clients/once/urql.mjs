// urql: a query, a mutation, a subscription through its own exchange.

import { Client, cacheExchange, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { HEADERS, HTTP, KEY, LOG, SERVER, TAIL, WS, event, log } from '../server.mjs';
import { same, table } from '../table.mjs';

const socket = createClient({ url: WS, webSocketImpl: WebSocket, connectionParams: { apiKey: KEY } });
const overSocket = subscriptionExchange({
  forwardSubscription: ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
  }),
});
const urql = (exchanges, options = {}) =>
  new Client({ url: HTTP, fetchOptions: { headers: HEADERS }, preferGetMethod: false, exchanges, ...options });

/** The messages of a tail, until `wanted` have come. */
function tail(client, component, wanted) {
  return new Promise((resolve, reject) => {
    const messages = [];
    let isFirst = true;
    const running = client.subscription(TAIL, { q: `component eq '${component}'` }).subscribe(({ data, error }) => {
      if (error) return reject(error);
      if (isFirst) log(component, ['a', 'b', 'c']).catch(reject);
      isFirst = false;
      messages.push(...data.events.events.map((one) => one.message));
      if (messages.length < wanted) return;
      running.unsubscribe();
      resolve(messages);
    });
  });
}

await table('urql', [
  ['query', async () => same(typeof (await urql([cacheExchange, fetchExchange]).query(SERVER, {})).data.server.version, 'string')],
  [
    'mutation',
    async () => {
      const { data } = await urql([fetchExchange]).mutation(LOG, { event: event('urql', 'one') });
      same(data.eventLog.event.message, 'one');
    },
  ],
  ['subscription over the WebSocket', async () => same(await tail(urql([overSocket]), 'urql-ws', 3), ['a', 'b', 'c'])],
  [
    'subscription by its fetch exchange',
    async () => {
      const client = urql([fetchExchange], { fetchSubscriptions: true });
      same(await tail(client, 'urql-fetch', 3), ['a', 'b', 'c']);
    },
  ],
]);
