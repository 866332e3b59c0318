-- Reads names of keys in another database, with no trace of it on the connection.
-- ARGV: the database, the cursor, how many.
redis.call('SELECT', ARGV[1] == '' and HOME or ARGV[1])
return redis.call('SCAN', ARGV[2], 'COUNT', ARGV[3])
