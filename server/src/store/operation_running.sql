-- Parameters: the round, the project that the last turn ended with, how many.
-- Projects in turn, those after that one first; of each another operation leads in each round.
SELECT project_id, id, turn
FROM (
    SELECT project_id, id,
        (ROW_NUMBER() OVER (PARTITION BY project_id ORDER BY id) + ?)
            % COUNT(*) OVER (PARTITION BY project_id) AS turn
    FROM operation
    -- In the words of the index `operation_running`.
    WHERE operation.status = 'RUNNING') AS running
ORDER BY turn, CASE WHEN project_id > ? THEN 0 ELSE 1 END, project_id
LIMIT ?
