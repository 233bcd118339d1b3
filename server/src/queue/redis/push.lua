-- Adds entries that are due up to the cover, or before the next sweep, and are not handed out.
-- ARGV: when the next sweep is, what is overdue, entries_max, then per entry: project, trigger, firing, due, limit ('' for none).
-- Returns 0 when there is no cover: everything was lost, and the sweeper has to bring it back.

local PUT_OUT_MAX = 512

local next_sweep, overdue, entries_max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local cover = tonumber(redis.call('GET', COVER) or '')
local horizon = math.max(cover or next_sweep, next_sweep)

local batch, limits = {}, {}
for i = 4, #ARGV, 5 do
    local project, trigger, firing, due = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    if tonumber(due) <= horizon then
        if not redis.call('ZSCORE', LEASED, project .. trigger .. firing .. due) then
            add(batch, project, trigger, firing, due)
        end
        if trigger ~= NONE then
            limits[trigger] = ARGV[i + 4]
        end
    end
end
for trigger, limit in pairs(limits) do
    if limit == '' then
        redis.call('HDEL', LIMITS, trigger)
    else
        redis.call('HSET', LIMITS, trigger, limit)
    end
end
finish(batch)

-- The project that holds most loses the last of the lane that begins last.
local function put_one_out()
    local largest = redis.call('ZREVRANGE', SIZES, 0, 0)[1]
    if not largest then
        redis.call('DEL', COUNT)
        return
    end
    local waiting, ready = turns(largest)
    local trigger = redis.call('ZREVRANGE', waiting, 0, 0)[1]
        or redis.call('ZREVRANGE', ready, 0, 0)[1]
    if not trigger then
        return forget(largest)
    end
    local key = lane_key(largest, trigger)
    local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
    if last[1] then
        redis.call('ZREM', key, last[1])
        resize(largest, -1)
        local due = tonumber(last[2])
        -- What is overdue the sweeper looks at anyway.
        if due and cover and overdue < due and due <= cover then
            cover = due - 1
            redis.call('SET', COVER, string.format('%.0f', cover))
        end
    end
    if redis.call('EXISTS', key) == 0 then
        redis.call('ZREM', waiting, trigger)
        redis.call('ZREM', ready, trigger)
        if redis.call('EXISTS', waiting, ready) == 0 then
            forget(largest)
        end
    end
end

local out = 0
while out < PUT_OUT_MAX and entries_max < tonumber(redis.call('GET', COUNT) or '0') do
    put_one_out()
    out = out + 1
end
return cover and 1 or 0
