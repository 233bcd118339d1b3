-- Parameter: the outcomes as a JSON array, in the order of their ids.
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
FROM json_to_recordset(?::json) AS outcome (
    id uuid, epoch integer, status text, reason text, due_at bigint, finished_at bigint,
    result text, error text, stage text)
-- A stale epoch updates nothing: somebody else owns the firing now, or it was cancelled. The
-- status is an expression so that its statistics do not lead away from the primary key.
WHERE firing.id = outcome.id
  AND firing.epoch = outcome.epoch
  AND firing.status || '' = 'EXECUTING'
RETURNING firing.id, firing.epoch
