// Runs run.sh against the server that ../run.sh has started.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('run.sh', import.meta.url));
process.exit(spawnSync(script, process.env.ONLY?.split(',') ?? [], { stdio: 'inherit' }).status ?? 1);
