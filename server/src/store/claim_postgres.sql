-- Parameters: the proposed ids, now, the bound of what was missed, owner, lease until, now.
WITH wanted AS (
    SELECT firing.id
    FROM unnest(?::uuid[]) AS proposed (id)
    JOIN firing ON firing.id = proposed.id
    -- Written as expressions, so that no partial index and no statistics of these columns, which
    -- change within the second, can talk the planner out of the primary key.
    WHERE firing.status || '' IN ('SCHEDULED', 'RETRYING')
      AND firing.due_at + 0 <= ?
      -- What was missed is the planner's: it catches the newest up and folds the rest.
      AND (firing.cause <> 'SCHEDULE' OR firing.epoch > 0 OR firing.due_at + 0 >= ?)
      -- The fence: nothing that was planned under an older plan is taken.
      AND (firing.cause <> 'SCHEDULE' OR firing.epoch > 0 OR EXISTS (
            SELECT 1 FROM schedule
            WHERE schedule.id = firing.schedule_id
              AND schedule.plan_version = firing.plan_version
              AND schedule.deleted_at IS NULL))
      -- Of a deleted trigger nothing begins, while what was accepted for it is being cancelled.
      AND NOT EXISTS (
            SELECT 1 FROM trigger
            WHERE trigger.id = firing.trigger_id AND trigger.state = 'ENDING')
      -- What waits for another firing is not due.
      AND firing.blocked_by IS NULL
      AND {free}
    -- Another executor, an edit or the planner has the others in hand.
    FOR UPDATE OF firing SKIP LOCKED
)
UPDATE firing
SET status = 'EXECUTING',
    epoch = epoch + 1,
    lease_owner = ?,
    lease_until = ?,
    attempts = attempts + 1,
    started_at = COALESCE(started_at, ?),
    -- A planned firing runs what its trigger says now, when it is first claimed.
    trigger_version = CASE WHEN cause = 'SCHEDULE' AND epoch = 0
        THEN (SELECT definition FROM trigger WHERE trigger.id = firing.trigger_id)
        ELSE trigger_version END,
    action_id = CASE WHEN cause = 'SCHEDULE' AND epoch = 0
        THEN (SELECT action_id FROM trigger WHERE trigger.id = firing.trigger_id)
        ELSE action_id END,
    action_version = CASE WHEN cause = 'SCHEDULE' AND epoch = 0
        THEN (SELECT action.definition FROM trigger JOIN action ON action.id = trigger.action_id
              WHERE trigger.id = firing.trigger_id)
        ELSE action_version END
FROM wanted
WHERE firing.id = wanted.id
RETURNING firing.*,
    (SELECT open_overlap_id FROM schedule WHERE schedule.id = firing.schedule_id)
        AS open_overlap_id,
    (SELECT 1 FROM schedule
     WHERE schedule.id = firing.schedule_id AND schedule.plan_at IS NULL) AS is_last,
    (SELECT name FROM trigger WHERE trigger.id = firing.trigger_id) AS trigger_name,
    (SELECT concurrency FROM trigger WHERE trigger.id = firing.trigger_id) AS trigger_limit,
    (SELECT pause_after_failures FROM trigger WHERE trigger.id = firing.trigger_id)
        AS pause_after_failures,
    (SELECT signing_generation FROM project WHERE project.id = firing.project_id)
        AS signing_generation
