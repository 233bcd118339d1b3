-- Parameters: the ids, owner, until when. A row that another transaction holds is passed over: it is
-- being recorded, cancelled or freed, and whoever waited for it here while holding others could be
-- what that transaction waits for.
WITH held AS (
    SELECT firing.id
    FROM unnest(?::uuid[]) AS wanted (id)
    JOIN firing ON firing.id = wanted.id
    WHERE firing.status || '' = 'EXECUTING' AND firing.lease_owner = ?
    FOR UPDATE OF firing SKIP LOCKED
)
UPDATE firing SET lease_until = ? FROM held WHERE firing.id = held.id RETURNING firing.id
