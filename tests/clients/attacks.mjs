// Documents that stop other servers: each is refused on every transport, quickly, and the server lives.

import WebSocket from 'ws';
import { HEADERS, HTTP, KEY, WS } from './server.mjs';
import { same, table } from './table.mjs';

/** How long a refusal may take, with the way there and back. */
const REFUSAL_MS_MAX = 50;
/** Of so many tries the quickest counts: the machine does other things too. */
const TRIES = 5;

/** Fragments of which each spreads the next so many times. */
function bomb(levels, times) {
  const level = (n) => `fragment F${n} on Query { ${`...F${n + 1} `.repeat(times)}} `;
  const chain = Array.from({ length: levels }, (_, n) => level(n)).join('');
  return `{ ...F0 } ${chain} fragment F${levels} on Query { __typename }`;
}

const nested = (open, close) => `{ __type(name: ${open.repeat(1600)}1${close.repeat(1600)}) { name } }`;

const attacks = [
  ['fragment bomb, 30 levels × 2 spreads', bomb(30, 2)],
  ['fragment bomb, 7 levels × 60 spreads', bomb(7, 60)],
  ['list nested 1,600 deep', nested('[', ']')],
  ['object nested 1,600 deep', nested('{a:', '}')],
  ['selections nested 1,600 deep', `${'{a'.repeat(1600)}${'}'.repeat(1600)}`],
  ['a fragment that contains itself', '{ ...F } fragment F on Query { ...F }'],
];

const post = (accept) => async (query) => {
  const headers = { ...HEADERS, 'content-type': 'application/json', accept };
  const response = await fetch(HTTP, { method: 'POST', headers, body: JSON.stringify({ query }) });
  return response.text();
};

const socket = await new Promise((resolve, reject) => {
  const opened = new WebSocket(WS, 'graphql-transport-ws');
  opened.on('open', () => opened.send(JSON.stringify({ type: 'connection_init', payload: { apiKey: KEY } })));
  opened.once('message', () => resolve(opened));
  opened.on('error', reject);
});
let ids = 0;
const subscribe = (query) =>
  new Promise((resolve) => {
    socket.once('message', (text) => resolve(String(text)));
    socket.send(JSON.stringify({ type: 'subscribe', id: String(ids++), payload: { query } }));
  });

const transports = { HTTP: post('application/json'), SSE: post('text/event-stream'), WebSocket: subscribe };

const cases = attacks.map(([name, query]) => [
  name,
  async () => {
    const shown = [];
    for (const [transport, send] of Object.entries(transports)) {
      let best = Infinity;
      for (let n = 0; n < TRIES; n += 1) {
        const begun = performance.now();
        const answer = await send(query);
        best = Math.min(best, performance.now() - begun);
        same(/"code":"(\w+)"/.exec(answer)?.[1], 'QUERY_TOO_COMPLEX', transport);
      }
      if (REFUSAL_MS_MAX < best) throw new Error(`${transport} took ${best.toFixed(1)} ms`);
      shown.push(`${transport} ${best.toFixed(1)} ms`);
    }
    return `${query.length} bytes: ${shown.join(', ')}`;
  },
]);
cases.push([
  'the server lives',
  async () => {
    process.kill(Number(process.env.BELFRY_PID), 0);
    same(await transports.HTTP('{ __typename }'), '{"data":{"__typename":"Query"}}');
  },
]);
await table(`attacks, refused in ${REFUSAL_MS_MAX} ms at most`, cases);
