-- Gives a lock back, if it still is the caller's. KEYS: lock. ARGV: consumer.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
