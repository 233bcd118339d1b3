// npm graphql-ws against the WebSocket; where the library cannot misbehave, raw frames do.

import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { KEY, LOG, SERVER, TAIL, WS, event, log } from './server.mjs';
import { same, table } from './table.mjs';

const client = (options = {}) =>
  createClient({ url: WS, webSocketImpl: WebSocket, connectionParams: { apiKey: KEY }, retryAttempts: 0, ...options });

/** The first result of an operation that has one. */
async function once(operation) {
  const iterator = client().iterate(operation);
  const { value } = await iterator.next();
  await iterator.return();
  return value;
}

/** Reads a tail until `wanted` messages have come; the messages and the last cursor. */
async function tail(component, after, wanted, started = () => {}) {
  const variables = { after, q: `component eq '${component}'` };
  const iterator = client().iterate({ query: TAIL, variables });
  const [messages, place] = [[], {}];
  for await (const { data, errors } of iterator) {
    if (errors) throw new Error(JSON.stringify(errors));
    if (place.cursor === undefined) started();
    place.cursor = data.events.cursor;
    messages.push(...data.events.events.map((one) => one.message));
    if (wanted <= messages.length) break;
  }
  return { messages, cursor: place.cursor };
}

/** Opens a raw socket, sends messages when it is open, and returns how it was closed. */
function closed(messages, { protocol = 'graphql-transport-ws', acknowledged = true } = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(WS, protocol);
    const send = () => messages.forEach((one) => socket.send(typeof one === 'object' ? JSON.stringify(one) : one));
    socket.on('open', () => {
      if (!acknowledged) return send();
      socket.send(JSON.stringify({ type: 'connection_init', payload: { apiKey: KEY } }));
    });
    socket.on('message', (text) => JSON.parse(text).type === 'connection_ack' && acknowledged && send());
    socket.on('error', reject);
    socket.on('close', (code) => resolve(code));
  });
}

const subscribe = (id, query) => ({ type: 'subscribe', id, payload: { query } });
const QUIET = 'subscription { events { cursor } }';

await table('graphql-ws', [
  ['query', async () => same(typeof (await once({ query: SERVER })).data.server.version, 'string')],
  [
    'mutation',
    async () => {
      const result = await once({ query: LOG, variables: { event: event('ws', 'one') } });
      same(result.data.eventLog.event.message, 'one');
    },
  ],
  [
    'an error of validation is thrown as a list',
    async () => {
      const thrown = await once({ query: '{ nothing }' }).then(() => null, (error) => error);
      same(Array.isArray(thrown) && thrown[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
    },
  ],
  [
    'subscription',
    async () => {
      const { messages } = await tail('ws-live', undefined, 3, () => log('ws-live', ['a', 'b', 'c']));
      same(messages, ['a', 'b', 'c']);
    },
  ],
  [
    'resumes after its cursor without loss',
    async () => {
      const first = await tail('ws-resume', undefined, 1, () => log('ws-resume', ['a']));
      await log('ws-resume', ['b', 'c']);
      const second = await tail('ws-resume', first.cursor, 2);
      same(second.messages, ['b', 'c']);
    },
  ],
  [
    '50 subscriptions on one socket',
    async () => {
      const one = client();
      const iterators = Array.from({ length: 50 }, () => one.iterate({ query: TAIL, variables: {} }));
      const results = await Promise.all(iterators.map((iterator) => iterator.next()));
      same(results.filter(({ value }) => value.data.events.cursor).length, 50);
      await one.dispose();
    },
  ],
  [
    'a key that does not hold is fatal: 4403',
    async () => {
      const wrong = client({ connectionParams: { apiKey: 'nonsense' } });
      const thrown = await wrong.iterate({ query: SERVER }).next().catch((error) => error);
      same(thrown.code, 4403);
    },
  ],
  ['4400 what is no message', async () => same(await closed(['{']), 4400)],
  ['4401 subscribe before init', async () => same(await closed([subscribe('1', SERVER)], { acknowledged: false }), 4401)],
  ['4406 another subprotocol', async () => same(await closed([], { protocol: [] }), 4406)],
  ['4408 no init in ten seconds', async () => same(await closed([], { acknowledged: false }), 4408)],
  ['4409 a live id', async () => same(await closed([subscribe('1', QUIET), subscribe('1', QUIET)]), 4409)],
  ['4429 a second init', async () => same(await closed([{ type: 'connection_init' }]), 4429)],
]);
