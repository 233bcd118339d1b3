-- The whole model in one step. Words in braces are the engine's own (m0001_foundation.rs): uuid and
-- bytes are 16 bytes of identity and bytes of any length; seq and the event_… ones say how the log
-- is ordered and found, and m0001_log_postgres.sql goes on where PostgreSQL differs. Every *_at
-- column is a BIGINT of milliseconds since 1970 (entity/src/instant.rs). Columns of large text come
-- last, so that rows can be skipped over without reading them.

CREATE TABLE project (
    id                 {uuid}  NOT NULL PRIMARY KEY,
    name               TEXT    NOT NULL UNIQUE,
    version            INTEGER NOT NULL,
    signing_generation INTEGER NOT NULL,
    triggers_max       INTEGER,
    schedules_max      INTEGER,
    keys_max           INTEGER,
    waiting_max        INTEGER,
    cost_max           INTEGER,
    created_at         BIGINT  NOT NULL,
    updated_at         BIGINT  NOT NULL
);

CREATE TABLE installation (
    number      INTEGER NOT NULL PRIMARY KEY,
    id          {uuid}  NOT NULL,
    operator_id {uuid}  REFERENCES project (id),
    tzdata      TEXT    NOT NULL,
    tzdata_seen_at BIGINT NOT NULL,
    created_at  BIGINT  NOT NULL
);

CREATE TABLE api_key (
    id           {uuid}  NOT NULL PRIMARY KEY,
    project_id   {uuid}  NOT NULL REFERENCES project (id),
    name         TEXT    NOT NULL,
    hash         {bytes} NOT NULL UNIQUE,
    scopes       TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT
);
CREATE INDEX api_key_list ON api_key (project_id, id);

CREATE TABLE action (
    id          {uuid}  NOT NULL PRIMARY KEY,
    project_id  {uuid}  NOT NULL REFERENCES project (id),
    name        TEXT    NOT NULL,
    description TEXT,
    version     INTEGER NOT NULL,
    definition  INTEGER NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    deleted_at  BIGINT
);
CREATE UNIQUE INDEX action_name ON action (project_id, name) WHERE deleted_at IS NULL;
CREATE INDEX action_list ON action (project_id, id) WHERE deleted_at IS NULL;

CREATE TABLE action_version (
    action_id  {uuid}  NOT NULL REFERENCES action (id),
    number     INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (action_id, number)
);

CREATE TABLE trigger (
    id                   {uuid}  NOT NULL PRIMARY KEY,
    project_id           {uuid}  NOT NULL REFERENCES project (id),
    name                 TEXT    NOT NULL,
    description          TEXT,
    version              INTEGER NOT NULL,
    definition           INTEGER NOT NULL,
    action_id            {uuid}  REFERENCES action (id),
    state                TEXT    NOT NULL,
    pause_reason         TEXT,
    paused_by            TEXT,
    is_test              BOOLEAN NOT NULL,
    concurrency          INTEGER,
    overlap              TEXT    NOT NULL DEFAULT 'SKIP',
    pause_after_failures INTEGER,
    failures             INTEGER NOT NULL DEFAULT 0,
    inbound_generation   INTEGER NOT NULL,
    consumed_at          BIGINT,
    created_at           BIGINT  NOT NULL,
    updated_at           BIGINT  NOT NULL,
    deleted_at           BIGINT
);
CREATE UNIQUE INDEX trigger_name ON trigger (project_id, name) WHERE deleted_at IS NULL;
CREATE INDEX trigger_list ON trigger (project_id, id) WHERE deleted_at IS NULL;
CREATE INDEX trigger_action ON trigger (action_id) WHERE deleted_at IS NULL;
-- The few that were deleted while much waited, until all of it is cancelled.
CREATE INDEX trigger_ending ON trigger (id) WHERE state = 'ENDING';

CREATE TABLE trigger_version (
    trigger_id     {uuid}  NOT NULL REFERENCES trigger (id),
    number         INTEGER NOT NULL,
    payload_schema TEXT,
    action_id      {uuid}  REFERENCES action (id),
    inline_action  TEXT,
    created_at     BIGINT  NOT NULL,
    PRIMARY KEY (trigger_id, number)
);

CREATE TABLE schedule (
    id            {uuid}  NOT NULL PRIMARY KEY,
    project_id    {uuid}  NOT NULL REFERENCES project (id),
    trigger_id    {uuid}  NOT NULL REFERENCES trigger (id),
    name          TEXT,
    kind          TEXT    NOT NULL,
    spec          TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    pause_reason  TEXT,
    paused_by     TEXT,
    version       INTEGER NOT NULL,
    plan_version  INTEGER NOT NULL,
    planned_until BIGINT  NOT NULL,
    next_at       BIGINT,
    plan_at       BIGINT,
    open_range_id {uuid},
    open_overlap_id {uuid},
    firings       BIGINT  NOT NULL,
    created_at    BIGINT  NOT NULL,
    updated_at    BIGINT  NOT NULL,
    deleted_at    BIGINT,
    policy        TEXT    NOT NULL,
    payload       TEXT    NOT NULL
);
CREATE INDEX schedule_list ON schedule (project_id, id) WHERE deleted_at IS NULL;
CREATE INDEX schedule_trigger ON schedule (trigger_id) WHERE deleted_at IS NULL;
-- The planner's only question: which schedules have work to do by now?
CREATE INDEX schedule_plan ON schedule (plan_at) WHERE plan_at IS NOT NULL;
-- The few whose last instants are planned: does something that they planned still wait?
CREATE INDEX schedule_last ON schedule (id) WHERE plan_at IS NULL AND state = 'SCHEDULED';

CREATE TABLE calendar (
    id          {uuid}  NOT NULL PRIMARY KEY,
    project_id  {uuid}  NOT NULL REFERENCES project (id),
    name        TEXT    NOT NULL,
    description TEXT,
    time_zone   TEXT,
    version     INTEGER NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    deleted_at  BIGINT,
    entries     TEXT    NOT NULL
);
CREATE UNIQUE INDEX calendar_name ON calendar (project_id, name) WHERE deleted_at IS NULL;
CREATE INDEX calendar_list ON calendar (project_id, id) WHERE deleted_at IS NULL;

-- Which schedules have to be planned anew when a calendar changes.
CREATE TABLE schedule_calendar (
    calendar_id {uuid} NOT NULL REFERENCES calendar (id),
    schedule_id {uuid} NOT NULL REFERENCES schedule (id),
    PRIMARY KEY (calendar_id, schedule_id)
);
CREATE INDEX schedule_calendar_schedule ON schedule_calendar (schedule_id);

CREATE TABLE firing (
    id              {uuid}  NOT NULL PRIMARY KEY,
    project_id      {uuid}  NOT NULL REFERENCES project (id),
    trigger_id      {uuid},
    trigger_version INTEGER,
    action_id       {uuid},
    action_version  INTEGER,
    schedule_id     {uuid},
    schedule_kind   TEXT,
    plan_version    INTEGER,
    session_id      {uuid},
    operation_id    {uuid},
    cause           TEXT    NOT NULL,
    nominal_at      BIGINT  NOT NULL,
    due_at          BIGINT  NOT NULL,
    status          TEXT    NOT NULL,
    reason          TEXT,
    overlap         TEXT,
    blocked_by      {uuid},
    lease_owner     {uuid},
    epoch           INTEGER NOT NULL,
    lease_until     BIGINT,
    stage           TEXT,
    attempts        INTEGER NOT NULL,
    deaths          INTEGER NOT NULL,
    created_at      BIGINT  NOT NULL,
    started_at      BIGINT,
    finished_at     BIGINT,
    replay_of       {uuid},
    root_id         {uuid}  NOT NULL,
    is_test         BOOLEAN NOT NULL,
    range_from      BIGINT,
    range_until     BIGINT,
    range_count     BIGINT,
    correlation_id  TEXT,
    error           TEXT,
    result          TEXT,
    inline_action   TEXT,
    payload         TEXT    NOT NULL
);
-- A planned instant cannot be recorded twice, nor a backfilled one within its operation.
CREATE UNIQUE INDEX firing_instant ON firing (schedule_id, nominal_at)
    WHERE cause = 'SCHEDULE';
CREATE UNIQUE INDEX firing_backfill ON firing (operation_id, schedule_id, nominal_at)
    WHERE cause = 'BACKFILL';
-- The due queue rebuilt from SQL, and what a project waits for.
CREATE INDEX firing_due ON firing (due_at, id)
    WHERE status IN ('SCHEDULED', 'RETRYING') AND blocked_by IS NULL;
CREATE INDEX firing_waiting ON firing (project_id, due_at)
    WHERE status IN ('SCHEDULED', 'RETRYING') AND blocked_by IS NULL;
-- Who holds the slot of a trigger, what waits for it, and what was skipped and is not folded yet.
CREATE INDEX firing_slot ON firing (trigger_id)
    WHERE cause IN ('SCHEDULE', 'BACKFILL') AND status IN ('SCHEDULED', 'EXECUTING') AND epoch > 0;
CREATE INDEX firing_blocked ON firing (trigger_id, nominal_at)
    WHERE blocked_by IS NOT NULL AND status = 'SCHEDULED';
CREATE INDEX firing_unfolded ON firing (schedule_id)
    WHERE blocked_by IS NOT NULL AND status = 'SKIPPED';
CREATE INDEX firing_lease ON firing (lease_until) WHERE status = 'EXECUTING';
CREATE INDEX firing_list ON firing (project_id, id);
CREATE INDEX firing_trigger ON firing (trigger_id, id) WHERE trigger_id IS NOT NULL;
CREATE INDEX firing_ahead ON firing (schedule_id, nominal_at)
    WHERE status = 'SCHEDULED' AND cause = 'SCHEDULE';
-- What a backfill made and is not over, and which instants of a schedule were backfilled.
CREATE INDEX firing_operation ON firing (operation_id)
    WHERE operation_id IS NOT NULL AND status IN ('SCHEDULED', 'EXECUTING', 'RETRYING');
CREATE INDEX firing_backfilled ON firing (schedule_id, nominal_at) WHERE cause = 'BACKFILL';
-- What waits for a person, and what retention may take.
CREATE INDEX firing_failed ON firing (project_id, id) WHERE status = 'FAILED';
CREATE INDEX firing_finished ON firing (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE operation (
    id          {uuid}  NOT NULL PRIMARY KEY,
    project_id  {uuid}  NOT NULL REFERENCES project (id),
    kind        TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    trigger_id  {uuid},
    total       BIGINT  NOT NULL,
    done        BIGINT  NOT NULL,
    made        BIGINT  NOT NULL,
    started_by  TEXT    NOT NULL,
    error       TEXT,
    created_at  BIGINT  NOT NULL,
    finished_at BIGINT,
    input       TEXT    NOT NULL,
    position    TEXT    NOT NULL
);
CREATE INDEX operation_list ON operation (project_id, id);
CREATE INDEX operation_running ON operation (id) WHERE status = 'RUNNING';
CREATE INDEX operation_finished ON operation (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE attempt (
    id          {uuid}  NOT NULL PRIMARY KEY,
    project_id  {uuid}  NOT NULL,
    firing_id   {uuid}  NOT NULL,
    stage       TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    status      TEXT    NOT NULL,
    started_at  BIGINT  NOT NULL,
    finished_at BIGINT  NOT NULL,
    retry_at    BIGINT,
    error_code  TEXT,
    error       TEXT,
    request     TEXT,
    response    TEXT
);
CREATE INDEX attempt_firing ON attempt (firing_id, id);

CREATE TABLE event (
    seq            {seq},
    id             {uuid}   NOT NULL{event_id},
    project_id     {uuid}   NOT NULL,
    class          TEXT     NOT NULL,
    type           TEXT     NOT NULL,
    severity       SMALLINT NOT NULL,
    component      TEXT,
    environment    TEXT,
    email          TEXT,
    message        TEXT,
    trigger_id     {uuid},
    trigger_name   TEXT,
    firing_id      {uuid},
    cause          TEXT,
    schedule_kind  TEXT,
    outcome        TEXT,
    actor          TEXT,
    correlation_id TEXT,
    is_test        BOOLEAN  NOT NULL,
    created_at     BIGINT   NOT NULL,
    data           TEXT,
    payload        TEXT{event_key};
CREATE INDEX event_project ON event (project_id, seq);
{event_class}
CREATE INDEX event_archive ON event (project_id, is_test, created_at);
CREATE INDEX event_trigger ON event (trigger_id, seq) WHERE trigger_id IS NOT NULL;
CREATE INDEX event_firing ON event (firing_id, seq) WHERE firing_id IS NOT NULL;

CREATE TABLE log_floor (
    class TEXT   NOT NULL PRIMARY KEY,
    seq   BIGINT NOT NULL
);

CREATE TABLE idempotency (
    project_id {uuid}  NOT NULL,
    key        TEXT    NOT NULL,
    operation  TEXT    NOT NULL,
    input_hash {bytes} NOT NULL,
    result_ids TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (project_id, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
