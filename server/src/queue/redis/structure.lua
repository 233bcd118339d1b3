-- What every script of the due queue knows: its keys, and how entries come in and go out.
--
-- All keys of a shard begin with KEYS[1], `{namespace:shard}`, so that a cluster keeps them on one
-- node. Projects, triggers and firings are their 16 bytes; NONE stands for no trigger. Times are
-- milliseconds since 1970. Nothing in here is trusted: a key may be missing, a member garbage.
--
--   <base>:cover                up to when everything that waits is known; missing: nothing is
--   <base>:count                how many entries wait
--   <base>:sizes                ZSET project -> how many of its entries wait
--   <base>:leased               ZSET project|trigger|firing|due -> end of the lease
--   <base>:limits               HASH trigger -> how many a process may execute at a time
--   <base>:lane:<project><trigger>   ZSET firing -> due
--   <base>:waiting  <base>:ready     ZSET project -> first due   ZSET project -> turn
--   <base>:waiting:<project>  <base>:ready:<project>             the same of its triggers
--
-- A lane waits until its first entry is due, then it is ready and has a turn; the score in
-- `waiting` may be earlier than that entry, never later.
local base = KEYS[1]
local COVER, COUNT, SIZES = base .. ':cover', base .. ':count', base .. ':sizes'
local LEASED, LIMITS = base .. ':leased', base .. ':limits'
local NONE = string.rep('\0', 16)

local function lane_key(project, trigger)
    return base .. ':lane:' .. project .. trigger
end

-- The keys of the turns of all projects, or of the triggers of one.
local function turns(project)
    local of = project and (':' .. project) or ''
    return base .. ':waiting' .. of, base .. ':ready' .. of
end

-- Lowers the first instant of what waits; a lane whose turn has come keeps it.
local function expect(project, lane, due)
    local waiting, ready = turns(project)
    if not redis.call('ZSCORE', ready, lane) then
        redis.call('ZADD', waiting, 'LT', due, lane)
    end
end

local function resize(project, by)
    if by == 0 then
        return
    end
    redis.call('ZINCRBY', SIZES, by, project)
    redis.call('INCRBY', COUNT, by)
end

-- A project without entries is forgotten, with what its size was wrong by.
local function forget(project)
    local waiting, ready = turns(nil)
    redis.call('ZREM', waiting, project)
    redis.call('ZREM', ready, project)
    local size = tonumber(redis.call('ZSCORE', SIZES, project) or '') or 0
    redis.call('ZREM', SIZES, project)
    if redis.call('ZCARD', SIZES) == 0 then
        redis.call('DEL', COUNT)
    else
        redis.call('DECRBY', COUNT, string.format('%.0f', size))
    end
end

-- Adds entries to their lanes. `batch` maps project .. trigger to {min, added}, so that the turns
-- are touched once per lane.
local function add(batch, project, trigger, firing, due)
    local lane = project .. trigger
    local seen = batch[lane]
    if not seen then
        seen = { project = project, trigger = trigger, first = nil, added = 0 }
        batch[lane] = seen
    end
    seen.added = seen.added + redis.call('ZADD', lane_key(project, trigger), due, firing)
    local at = tonumber(due)
    if at and (not seen.first or at < tonumber(seen.first)) then
        seen.first = due
    end
end

local function finish(batch)
    for _, seen in pairs(batch) do
        resize(seen.project, seen.added)
        if seen.first then
            expect(seen.project, seen.trigger, seen.first)
            expect(nil, seen.project, seen.first)
        end
    end
end
