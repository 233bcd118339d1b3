-- Parameters: owner, lease until, now, the proposed ids, now, the bound of what was missed.
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
WHERE id IN ({ids})
  AND status IN ('SCHEDULED', 'RETRYING')
  AND due_at <= ?
  -- What was missed is the planner's: it catches the newest up and folds the rest.
  AND (cause <> 'SCHEDULE' OR epoch > 0 OR due_at >= ?)
  -- The fence: nothing that was planned under an older plan is taken.
  AND (cause <> 'SCHEDULE' OR epoch > 0 OR EXISTS (
        SELECT 1 FROM schedule
        WHERE schedule.id = firing.schedule_id
          AND schedule.plan_version = firing.plan_version
          AND schedule.deleted_at IS NULL))
  -- Of a deleted trigger nothing begins, while what was accepted for it is being cancelled.
  AND NOT EXISTS (
        SELECT 1 FROM trigger
        WHERE trigger.id = firing.trigger_id AND trigger.state = 'ENDING')
  -- What waits for another firing is not due.
  AND blocked_by IS NULL
  AND {free}
RETURNING *,
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
