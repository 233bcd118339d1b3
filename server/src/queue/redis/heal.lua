-- Whether the shard can be written to, and the promise that it knows everything taken back: after
-- an outage nobody can say what it missed. The key that is written is gone after a second.
redis.call('SET', base .. ':probe', '1', 'PX', '1000')
redis.call('DEL', COVER)
return 1
