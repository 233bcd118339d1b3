import type { Fetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { useCallback, useEffect, useState } from 'react';
import { connect, unconnected } from './connection';
import { loadKey, saveKey } from './key';
import { KeyBar } from './KeyBar';
import { type KeyState, probeKey, refusal } from './probe';
import { starters } from './starters';
import { draftStorage } from './storage';

/** The page: a bar that says which key is used, and GraphiQL below it. */
export function Playground() {
  const [key, setKey] = useState(loadKey);
  const { state, recheck, refuse } = useKeyState(key);
  const fetcher = useFetcher(state.kind === 'accepted' ? key : null, refuse);

  useEffect(() => {
    const onHashChange = () => setKey(loadKey());
    addEventListener('hashchange', onHashChange);
    return () => removeEventListener('hashchange', onHashChange);
  }, []);

  const changeKey = (changed: string | null) => {
    saveKey(changed);
    setKey(changed);
    recheck();
  };

  return (
    <div className="playground">
      <KeyBar keyText={key} state={state} onChange={changeKey} onRecheck={recheck} />
      <main className="playground-editor">
        <GraphiQL
          fetcher={fetcher ?? unconnected}
          // null means no introspection: it starts when a key has been accepted.
          {...(fetcher === null ? { schema: null } : {})}
          storage={draftStorage}
          defaultTabs={starters}
          defaultQuery=""
          isHeadersEditorEnabled={false}
          inputValueDeprecation
          schemaDescription
          forcedTheme="system"
        >
          <GraphiQL.Logo>
            <></>
          </GraphiQL.Logo>
        </GraphiQL>
      </main>
    </div>
  );
}

interface KeyKnowledge {
  state: KeyState;
  /** Asks the server again. */
  recheck: () => void;
  /** Takes note that the server has just refused the key. */
  refuse: () => void;
}

/** What the server says about the key, asked whenever the key changes or on demand. */
function useKeyState(key: string | null): KeyKnowledge {
  const [state, setState] = useState<KeyState>({ kind: key === null ? 'missing' : 'checking' });
  const [asked, setAsked] = useState(0);
  const recheck = useCallback(() => setAsked((count) => count + 1), []);
  const refuse = useCallback(() => setState(refusal), []);

  useEffect(() => {
    if (key === null) {
      setState({ kind: 'missing' });
      return undefined;
    }
    const abort = new AbortController();
    setState({ kind: 'checking' });
    void probeKey(key, abort.signal).then((answer) => {
      if (!abort.signal.aborted) setState(answer);
    });
    return () => abort.abort();
  }, [key, asked]);

  return { state, recheck, refuse };
}

/** The way to the server for an accepted key; null without one. */
function useFetcher(key: string | null, onRefused: () => void): Fetcher | null {
  const [fetcher, setFetcher] = useState<Fetcher | null>(null);

  useEffect(() => {
    if (key === null) return undefined;
    const connection = connect(key, onRefused);
    setFetcher(() => connection.fetcher);
    return () => {
      setFetcher(null);
      connection.close();
    };
  }, [key, onRefused]);

  return fetcher;
}
