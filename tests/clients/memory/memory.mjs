// The memory of the server under readers: a thousand sockets with a subscription each, and readers that
// subscribe to everything and stop reading while 100,000 events are logged.
//
//     BELFRY_BIN=… tests/clients/run.sh memory/memory.mjs

import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import WebSocket from 'ws';
import { HEADERS, HTTP, KEY, WS, event } from '../server.mjs';
import { show } from '../table.mjs';

const SOCKETS = 1_000;
const EVENTS = 100_000;
const EVENTS_OF_A_REQUEST = 2_000;
/** How long all sockets may take to hear of the same events: a debug build on two busy cores is slow. */
const HEARD_MS_MAX = 60_000;
/** What stalled readers may cost with what logging itself takes: far below the events that wait for them. */
const GROWTH_MIB_MAX = 64;

const LOG_MANY = 'mutation($events: [EventInput!]!) { eventsLog(input: { events: $events }) { userErrors { message } } }';
const EVERYTHING = 'subscription { events { cursor events { id type component message data createdAt } } }';

const rows = [];
const mib = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${process.env.BELFRY_PID}/status`, 'utf8'))[1]) / 1024;
const note = (name, detail = '') => rows.push(['ok', name, `${mib().toFixed(1)} MiB  ${detail}`]);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A socket that has subscribed; counts what it gets. */
function subscribed(query) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(WS, 'graphql-transport-ws');
    const reader = { socket, messages: 0, refusals: 0, code: null };
    const subscribe = () => socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query } }));
    socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { apiKey: KEY } })));
    socket.on('message', (text) => {
      const { type } = JSON.parse(text);
      if (type === 'connection_ack') {
        subscribe();
        resolve(reader);
      }
      if (type === 'ping') socket.send(JSON.stringify({ type: 'pong' }));
      if (type === 'next') reader.messages += 1;
      if (type === 'error') {
        // A server that is busy says so, and clients try again.
        reader.refusals += 1;
        setTimeout(() => socket.readyState === WebSocket.OPEN && subscribe(), 1_000);
      }
    });
    socket.on('close', (code) => (reader.code = code));
    socket.on('error', reject);
  });
}

/** An SSE reader on a bare connection, which can stop reading. */
function streaming(query) {
  const { hostname, port } = new URL(HTTP);
  const socket = connect(Number(port), hostname);
  const body = JSON.stringify({ query });
  const head = ['POST /graphql HTTP/1.1', 'host: localhost', 'accept: text/event-stream', 'content-type: application/json'];
  head.push(`authorization: ${HEADERS.authorization}`, `content-length: ${body.length}`, '', body);
  socket.write(head.join('\r\n'));
  return new Promise((resolve) => socket.once('data', () => resolve(socket)));
}

async function log(count, size) {
  for (let done = 0; done < count; done += EVENTS_OF_A_REQUEST) {
    const wanted = Math.min(EVENTS_OF_A_REQUEST, count - done);
    const events = Array.from({ length: wanted }, (_, n) => ({ ...event('memory', `${done + n}`), data: 'x'.repeat(size) }));
    const headers = { ...HEADERS, 'content-type': 'application/json' };
    const body = JSON.stringify({ query: LOG_MANY, variables: { events } });
    const answer = await (await fetch(HTTP, { method: 'POST', headers, body })).json();
    if (answer.errors || answer.data.eventsLog.userErrors.length > 0) throw new Error(JSON.stringify(answer));
  }
}

/** Logs everything and returns the most memory meanwhile, and how long it took. */
async function logEverything() {
  let most = mib();
  const watch = setInterval(() => (most = Math.max(most, mib())), 50);
  const begun = performance.now();
  await log(EVENTS, 200);
  clearInterval(watch);
  return { most, secs: (performance.now() - begun) / 1_000 };
}

/** Opens all sockets, logs a little, waits until all have heard of it, and closes them; how many heard. */
async function crowd(name) {
  const readers = [];
  for (let n = 0; n < SOCKETS; n += 50) {
    readers.push(...(await Promise.all(Array.from({ length: 50 }, () => subscribed(EVERYTHING)))));
  }
  note(`${name} ${readers.length} sockets, each with a subscription`);
  await log(100, 200);
  const told = performance.now();
  const count = () => readers.filter(({ messages }) => messages > 0).length;
  while (count() < SOCKETS && performance.now() - told < HEARD_MS_MAX) await pause(50);
  const secs = ((performance.now() - told) / 1_000).toFixed(1);
  const refusals = readers.reduce((sum, reader) => sum + reader.refusals, 0);
  note('100 events later', `${count()} sockets heard of them within ${secs} s; ${refusals} were asked to try again`);
  readers.forEach(({ socket }) => socket.close());
  await pause(2_000);
  note('all closed');
  return count();
}

// What the first requests make the server allocate is not what is measured.
await log(EVENTS_OF_A_REQUEST, 200);
note('before');
const alone = await logEverything();
note(`${EVENTS.toLocaleString('en')} events later, nobody reads`, `logged in ${alone.secs.toFixed(1)} s; at most ${alone.most.toFixed(1)} MiB`);
// Twice: what the allocator keeps of the first crowd must be enough for the second.
const heard = [await crowd('first'), await crowd('second')];

const before = mib();
const stalled = await subscribed(EVERYTHING);
stalled.socket.pause();
const stream = await streaming(EVERYTHING);
stream.pause();
note('a socket and a stream that stop reading');
const under = await logEverything();
note(`${EVENTS.toLocaleString('en')} events later`, `logged in ${under.secs.toFixed(1)} s; at most ${under.most.toFixed(1)} MiB`);
await pause(12_000);
stalled.socket.resume();
stream.resume();
await pause(2_000);
note('when both have been left', `the socket was closed with ${stalled.code}`);
const growth = under.most - before;
rows.push([growth < GROWTH_MIB_MAX ? 'ok' : 'FAIL', 'growth under stalled readers', `${growth.toFixed(1)} MiB of ${GROWTH_MIB_MAX}`]);
rows.push([heard.every((count) => count === SOCKETS) ? 'ok' : 'FAIL', 'sockets that heard', heard.join(', ')]);
show('memory of the server', rows);
