// Runs named cases one after the other, prints them as a table, and makes the process fail when one of
// them did. Every script of this folder ends in one.

/** How long one case may take. */
const CASE_MS_MAX = 30_000;

/**
 * Runs `cases`, a list of `[name, run]`; what `run` returns is shown, what it throws is the failure.
 */
export async function table(title, cases) {
  const rows = [];
  for (const [name, run] of cases) {
    const begun = performance.now();
    try {
      const shown = await inTime(run());
      rows.push(['ok', name, shown ?? '', begun]);
    } catch (error) {
      rows.push(['FAIL', name, error?.message ?? JSON.stringify(error), begun]);
    }
    rows.at(-1)[3] = `${Math.round(performance.now() - begun)} ms`;
  }
  show(title, rows);
}

/** Prints rows of `[outcome, name, detail, time]` and ends the process. */
export function show(title, rows) {
  const failed = rows.filter(([outcome]) => outcome !== 'ok').length;
  console.log(`\n${title}: ${rows.length - failed} of ${rows.length} ok`);
  const width = Math.max(...rows.map(([, name]) => name.length), 0);
  for (const [outcome, name, detail, time] of rows) {
    console.log(`  ${outcome.padEnd(4)}  ${name.padEnd(width)}  ${(time ?? '').padStart(8)}  ${detail}`);
  }
  // Open sockets must not keep it alive.
  process.exit(failed === 0 ? 0 : 1);
}

/** Throws unless the two are the same, as JSON. */
export function same(found, expected, what = 'value') {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: expected ${b}, got ${a}`);
}

async function inTime(running) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${CASE_MS_MAX} ms`)), CASE_MS_MAX);
  });
  try {
    return await Promise.race([running, late]);
  } finally {
    clearTimeout(timer);
  }
}
