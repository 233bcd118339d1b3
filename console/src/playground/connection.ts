// How GraphiQL reaches the server: HTTP for queries and mutations, one WebSocket for subscriptions,
// both with the key of this tab.

import { createGraphiQLFetcher, type Fetcher, type FetcherParams } from '@graphiql/toolkit';
import { type DocumentNode, GraphQLError, Kind, parse } from 'graphql';
import { createClient } from 'graphql-ws';

/** The close code with which the server refuses a key on the WebSocket (also when it is revoked). */
const CLOSE_FORBIDDEN = 4403;
const RETRIES_MAX = 10;

/** A way to the server, for one key. */
export interface Connection {
  fetcher: Fetcher;
  /** Closes the WebSocket, if one is open. */
  close(): void;
}

/**
 * Opens nothing yet: requests and the WebSocket start when they are needed. `onRefused` is told when
 * the server stops accepting the key.
 */
export function connect(key: string, onRefused: () => void): Connection {
  const authorization = `Bearer ${key}`;
  const socket = createClient({
    url: socketAddress(),
    connectionParams: { authorization },
    retryAttempts: RETRIES_MAX,
    on: {
      closed: (event) => {
        if (event instanceof CloseEvent && event.code === CLOSE_FORBIDDEN) onRefused();
      },
    },
  });
  const fetcher = createGraphiQLFetcher({
    url: '/graphql',
    headers: { authorization },
    enableIncrementalDelivery: false,
    wsClient: socket,
    fetch: async (input, init) => {
      const response = await fetch(input, { ...init, credentials: 'omit' });
      if (response.status === 401) onRefused();
      return response;
    },
  });
  return {
    fetcher: (request, options) => {
      const document = parsed(request.query);
      if (document === null) return fetcher(request, options);
      return fetcher(withKnownName(request, document), { ...options, documentAST: document });
    },
    close: () => void socket.dispose(),
  };
}

/** Answers every operation with the reason why it was not sent. */
export const unconnected: Fetcher = () => ({
  errors: [new GraphQLError('Not sent: the playground needs an API key first (see the bar above).')],
});

// GraphiQL follows an edit 100 ms late: what it says about the operation's name and kind may belong
// to the text before, so both are read from the text that is sent.

function parsed(query: string): DocumentNode | null {
  try {
    return parse(query);
  } catch {
    return null;
  }
}

function withKnownName({ operationName, ...rest }: FetcherParams, document: DocumentNode): FetcherParams {
  const operations = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  const names = operations.map((operation) => ('name' in operation ? operation.name?.value : undefined));
  if (operationName != null && names.includes(operationName)) return { operationName, ...rest };
  // A lone operation needs no name; the fetcher looks for a subscription under this one.
  return names.length === 1 && names[0] !== undefined ? { operationName: names[0], ...rest } : rest;
}

function socketAddress(): string {
  const address = new URL('/graphql', location.href);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  return address.href;
}
