-- Parameter: where the planner stands with each schedule, as a JSON array. The rows are locked.
UPDATE schedule
SET state = step.state,
    planned_until = step.planned_until,
    next_at = step.next_at,
    plan_at = step.plan_at,
    open_range_id = step.open_range_id,
    firings = step.firings
FROM json_to_recordset(?::json) AS step (
    id uuid, state text, planned_until bigint, next_at bigint, plan_at bigint,
    open_range_id uuid, firings bigint)
WHERE schedule.id = step.id
