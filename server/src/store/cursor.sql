WITH cursor (id, state, planned_until, next_at, plan_at, open_range_id, firings) AS (
    VALUES {rows}
)
UPDATE schedule
SET state = cursor.state,
    planned_until = cursor.planned_until,
    next_at = cursor.next_at,
    plan_at = cursor.plan_at,
    open_range_id = cursor.open_range_id,
    firings = cursor.firings
FROM cursor
WHERE schedule.id = cursor.id
