CREATE TABLE IF NOT EXISTS stores (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, name TEXT NOT NULL);
INSERT OR IGNORE INTO stores VALUES
    ('vinyl-cave', 'cave-group', 'The Vinyl Cave'),
    ('north-records', 'cave-group', 'North Records'),
    ('tape-heads', 'tape-heads', 'Tape Heads');

-- What shops have delivered, and how often.
CREATE TABLE IF NOT EXISTS deliveries (
    store_id TEXT NOT NULL, topic TEXT NOT NULL, order_id TEXT NOT NULL, times INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (store_id, topic, order_id)
);

-- What workers have made of it.
CREATE TABLE IF NOT EXISTS orders (
    store_id TEXT NOT NULL, topic TEXT NOT NULL, order_id TEXT NOT NULL, listener_id TEXT NOT NULL,
    PRIMARY KEY (store_id, topic, order_id)
);
CREATE TABLE IF NOT EXISTS recommendations (listener_id TEXT PRIMARY KEY, titles TEXT NOT NULL);

-- The queue. `headers` are those of the request that has made the job. `due_at` of a running job is when its worker
-- loses it.
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, type TEXT NOT NULL, topic TEXT NOT NULL, store_id TEXT NOT NULL, org_id TEXT NOT NULL,
    payload TEXT NOT NULL, headers TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0, due_at REAL NOT NULL, worker INTEGER
);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (state, due_at);
