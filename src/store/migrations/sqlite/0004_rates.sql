-- What all nodes have in common beyond accounts: rates that each of them counts, work that one of them does at a time.

-- A row for each half second in which a node counted something. A run of a server is a node; its rows are numbered from 1,
-- and it alone writes them, in turn. A count is 24 bytes: a keyed hash of what is limited, milliseconds left, hits.
CREATE TABLE rates (
    node BIGINT NOT NULL,
    number BIGINT NOT NULL,
    written_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (node, number)
);
CREATE INDEX rates_over ON rates (expires_at);

-- What one node does at a time. A run of a server is a holder.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Most sessions are never revoked.
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
