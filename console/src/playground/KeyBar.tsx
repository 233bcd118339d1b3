import { type FormEvent, useState } from 'react';
import bell from '../bell.svg';
import { shownKey } from './key';
import type { KeyState } from './probe';

interface Props {
  keyText: string | null;
  state: KeyState;
  /** A new key, or null to forget the present one. */
  onChange: (key: string | null) => void;
  onRecheck: () => void;
}

/** Product name, the key's state, and the field to set, replace or forget it. */
export function KeyBar({ keyText, state, onChange, onRecheck }: Props) {
  const [replacing, setReplacing] = useState(false);
  const asking = keyText === null || replacing;

  const change = (key: string | null) => {
    setReplacing(false);
    onChange(key);
  };

  return (
    <header className="bar">
      <div className="bar-line">
        <h1 className="bar-name">
          <img src={bell} alt="" width="20" height="20" />
          Belfry <span className="bar-page">playground</span>
        </h1>
        <KeyStateText keyText={keyText} state={state} />
        {asking ? (
          <KeyForm onUse={change} onCancel={keyText === null ? null : () => setReplacing(false)} />
        ) : (
          <div className="bar-actions">
            {state.kind === 'unreachable' && (
              <button type="button" onClick={onRecheck}>
                Try again
              </button>
            )}
            <button type="button" onClick={() => setReplacing(true)}>
              Replace key
            </button>
            <button type="button" onClick={() => change(null)}>
              Forget key
            </button>
          </div>
        )}
      </div>
      <KeyMessage state={state} />
    </header>
  );
}

function KeyForm({ onUse, onCancel }: { onUse: (key: string) => void; onCancel: (() => void) | null }) {
  const [draft, setDraft] = useState('');
  const key = draft.trim();

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key !== '') onUse(key);
  };

  return (
    <form className="bar-actions" onSubmit={submit}>
      <input
        type="password"
        aria-label="API key"
        placeholder="Paste an API key: blf_…"
        autoComplete="off"
        spellCheck={false}
        autoFocus
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
      />
      <button type="submit" className="primary" disabled={key === ''}>
        Use key
      </button>
      {onCancel !== null && (
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
      )}
    </form>
  );
}

function KeyStateText({ keyText, state }: { keyText: string | null; state: KeyState }) {
  return (
    <p className="key-state" data-state={state.kind} role="status">
      <span className="key-dot" aria-hidden="true" />
      {stateWord(state)}
      {keyText !== null && <code className="key-shown">{shownKey(keyText)}</code>}
    </p>
  );
}

function stateWord(state: KeyState): string {
  switch (state.kind) {
    case 'missing':
      return 'No key';
    case 'checking':
      return 'Checking the key…';
    case 'accepted':
      return state.name === null ? 'Key accepted' : `Key “${state.name}” accepted`;
    case 'refused':
      return 'Key refused';
    case 'unreachable':
      return 'Key not checked';
  }
}

function KeyMessage({ state }: { state: KeyState }) {
  switch (state.kind) {
    case 'missing':
      return (
        <p className="bar-message">
          The API needs a key. Paste one above, or open the link that the server printed at its first start
          (<code>/playground#key=…</code>). It stays in this browser tab only.
        </p>
      );
    case 'refused':
      return (
        <p className="bar-message bad" role="alert">
          The key was refused. {state.message}
        </p>
      );
    case 'unreachable':
      return (
        <p className="bar-message bad" role="alert">
          {state.message}
        </p>
      );
    case 'checking':
    case 'accepted':
      return null;
  }
}
