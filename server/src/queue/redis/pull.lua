-- Hands out what is due, from the lanes in turn, and leases it.
-- ARGV: now, rows_max, slots_free, share, project_max, end of the lease, how many projects run
-- something, those with their numbers, how many triggers do, those with theirs.
-- Returns: 1 or 0 (whether there is a cover), when the next is due ('' when unknown), and per entry
-- project, trigger, firing, due, limit ('' for none).

-- What one call does at most, so that nobody waits long for Redis.
local VISITS_MAX, PROMOTED_MAX, ENDED_MAX = 1024, 256, 128

local now, rows_max, slots_free = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local share, project_max, lease_until = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local running, at = {}, 7
for _ = 1, 2 do
    local count = tonumber(ARGV[at])
    for i = at + 1, at + 2 * count, 2 do
        running[ARGV[i]] = tonumber(ARGV[i + 1])
    end
    at = at + 1 + 2 * count
end

local next_at
local function sooner(instant)
    instant = tonumber(instant)
    if instant and (not next_at or instant < next_at) then
        next_at = instant
    end
end

local tails = {}
-- `lane` goes to the end of the turns.
local function to_end(ready, lane)
    local tail = tails[ready]
        or tonumber(redis.call('ZREVRANGE', ready, 0, 0, 'WITHSCORES')[2] or '0')
        or 0
    tails[ready] = tail + 1
    redis.call('ZADD', ready, tail + 1, lane)
end

local function promote(waiting, ready)
    local due = redis.call('ZRANGE', waiting, '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, PROMOTED_MAX)
    if due[1] then
        redis.call('ZREM', waiting, unpack(due))
        for _, lane in ipairs(due) do
            to_end(ready, lane)
        end
    end
end

-- A lane whose turn has come waits again, until `first`.
local function wait(waiting, ready, lane, first)
    redis.call('ZREM', ready, lane)
    if first then
        redis.call('ZADD', waiting, first, lane)
    end
end

local function first_of(waiting)
    return redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
end

-- What was handed out and not settled waits again.
local ended = redis.call('ZRANGE', LEASED, '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ENDED_MAX)
if ended[1] then
    redis.call('ZREM', LEASED, unpack(ended))
    local batch = {}
    for _, entry in ipairs(ended) do
        local due = string.sub(entry, 49)
        if tonumber(due) then
            local project, trigger = string.sub(entry, 1, 16), string.sub(entry, 17, 32)
            add(batch, project, trigger, string.sub(entry, 33, 48), due)
        end
    end
    finish(batch)
end

local visits, taken, blocked = 0, {}, false
local out = {}

-- The entries of a lane that are due, up to `most`; nil when one is garbage.
local function due_of(key, most)
    local found =
        redis.call('ZRANGE', key, '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
    for i = 1, #found, 2 do
        if #found[i] ~= 16 then
            return nil
        end
    end
    return found
end

-- Takes the first entry of a project that is due and has room; up to `most` of them when all would
-- come from one lane anyway.
local function take(project, most)
    local waiting, ready = turns(project)
    promote(waiting, ready)
    blocked = false
    local turn = '-inf'
    while visits < VISITS_MAX do
        visits = visits + 1
        local head = redis.call('ZRANGE', ready, turn, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
        local trigger = head[1]
        if not trigger then
            return nil
        end
        local key = lane_key(project, trigger)
        local first = redis.call('ZRANGE', key, 0, 1, 'WITHSCORES')
        local limit = trigger ~= NONE and tonumber(redis.call('HGET', LIMITS, trigger) or '')
        if #trigger ~= 16 or not first[1] then
            redis.call('ZREM', ready, trigger)
        elseif #first[1] ~= 16 then
            -- Garbage: the same lane is looked at once more.
            redis.call('ZREM', key, first[1])
            resize(project, -1)
        elseif now < tonumber(first[2]) then
            wait(waiting, ready, trigger, first[2])
        elseif limit and limit <= (running[trigger] or 0) then
            blocked, turn = true, '(' .. head[2]
        else
            local many = 1
            if 1 < most and redis.call('ZCARD', ready) == 1 then
                many = limit and math.min(most, limit - (running[trigger] or 0)) or most
            end
            local found = 1 < many and due_of(key, many) or { first[1], first[2] }
            local firings, entries = {}, {}
            for i = 1, #found, 2 do
                firings[#firings + 1] = found[i]
                entries[#entries + 1] =
                    { project, trigger, found[i], found[i + 1], limit and tostring(limit) or '' }
            end
            redis.call('ZREM', key, unpack(firings))
            local rest = { first[3], first[4] }
            if 1 < #entries then
                rest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
            end
            if rest[2] and tonumber(rest[2]) <= now then
                to_end(ready, trigger)
            else
                wait(waiting, ready, trigger, rest[2])
            end
            if not rest[1] and trigger ~= NONE then
                redis.call('HDEL', LIMITS, trigger)
            end
            running[trigger] = (running[trigger] or 0) + #entries
            return entries
        end
    end
    next_at = now
    return nil
end

-- How many more of a project may go if nobody else takes any.
local function room_of(project)
    local count, free, more = running[project] or 0, slots_free - #out, 0
    local rows = rows_max - #out
    while more < rows and count + more < project_max and count + more < share * (free - more) do
        more = more + 1
    end
    return more
end

-- Notes what was taken, and leases it.
local function hand_out(project, entries)
    local leases = {}
    for _, entry in ipairs(entries) do
        out[#out + 1] = entry
        leases[#leases + 1] = lease_until
        leases[#leases + 1] = table.concat(entry, '', 1, 4)
    end
    running[project] = (running[project] or 0) + #entries
    taken[project] = (taken[project] or 0) + #entries
    redis.call('ZADD', LEASED, unpack(leases))
end

local waiting, ready = turns(nil)
promote(waiting, ready)
local turn = '-inf'
while visits < VISITS_MAX do
    visits = visits + 1
    local head = redis.call('ZRANGE', ready, turn, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
    local project = head[1]
    if not project then
        break
    end
    turn = '(' .. head[2]
    if rows_max <= #out then
        next_at = now
        break
    end
    local room = room_of(project)
    if #project ~= 16 then
        redis.call('ZREM', ready, project)
    elseif 0 < room then
        -- Beside others it is one at a time.
        local entries = take(project, redis.call('ZCARD', ready) == 1 and room or 1)
        local later, its_ready = turns(project)
        if entries then
            hand_out(project, entries)
        end
        if blocked and not entries then
            sooner(first_of(later))
        elseif redis.call('EXISTS', its_ready) == 1 then
            if entries then
                to_end(ready, project)
            end
        else
            local first = first_of(later)
            wait(waiting, ready, project, first)
            if not first then
                if taken[project] then
                    resize(project, -taken[project])
                    taken[project] = nil
                end
                forget(project)
            end
        end
    end
end
if VISITS_MAX <= visits then
    next_at = now
end
for project, count in pairs(taken) do
    resize(project, -count)
end
sooner(first_of(waiting))

local answer = { redis.call('EXISTS', COVER), next_at and string.format('%.0f', next_at) or '' }
for _, entry in ipairs(out) do
    for _, part in ipairs(entry) do
        answer[#answer + 1] = part
    end
end
return answer
