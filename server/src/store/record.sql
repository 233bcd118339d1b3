WITH outcome (id, epoch, status, reason, due_at, finished_at, result, error, stage) AS (
    VALUES {rows}
)
UPDATE firing
SET status = outcome.status,
    reason = outcome.reason,
    due_at = outcome.due_at,
    finished_at = outcome.finished_at,
    result = outcome.result,
    error = outcome.error,
    stage = outcome.stage,
    lease_owner = NULL,
    lease_until = NULL
FROM outcome
-- A stale epoch updates nothing: somebody else owns the firing now, or it was cancelled.
WHERE firing.id = outcome.id
  AND firing.epoch = outcome.epoch
  AND firing.status = 'EXECUTING'
RETURNING firing.id, firing.epoch
